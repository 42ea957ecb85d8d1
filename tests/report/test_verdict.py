"""The verdict rule: the same both ways, by an interval that always says what the verdict says."""

import importlib
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gofau.report.pairs import Comparison, compare
from gofau.report.verdict import ALPHA, MOST_SEEDS, Question, decide
from tests.command_line import ROOT

MARGIN = 0.005


def comparison(mean, sd, seeds=5):
    values = np.arange(seeds) - (seeds - 1) / 2
    return compare([mean + sd * values / (values.std(ddof=1) if seeds > 1 else 1)])


def alone(mean, sd, seeds=5, bound=""):
    (found,) = decide([Question(replace(comparison(mean, sd, seeds), bound=bound), MARGIN)])
    return found


@pytest.mark.parametrize(
    ("mean", "sd", "text"),
    [
        (0.03, 0.01, "supported"),
        (-0.03, 0.01, "not supported"),
        (0.0, 0.002, "no difference"),
        (0.003, 0.001, "no difference (small, better)"),
        (-0.003, 0.001, "no difference (small, worse)"),
        (0.006, 0.0001, "supported"),
        (0.01, 0.02, "undecided; at this mean and spread 18 seeds would decide it"),
        (0.0, 0.0, "no difference"),
        (0.02, 0.0, "supported"),
    ],
)
def test_one_question(mean, sd, text):
    assert alone(mean, sd).text == text


@pytest.mark.parametrize("mean", [0.001, 0.01])
def test_alone_its_interval_is_students_and_p_that_of_the_t_test(mean):
    x = np.random.default_rng(4).normal(0, 0.002, size=8)
    x += mean - x.mean()
    (v,) = decide([Question(compare([x]), MARGIN)])
    test: Any = stats.ttest_1samp(x, 0)
    assert v.p == pytest.approx(test.pvalue)
    interval: Any = test.confidence_interval(0.95)
    assert (v.low, v.high) == pytest.approx((interval.low, interval.high))
    # Within the margin at level 1 − 2α by two one-sided tests, so that our p is twice theirs.
    low: Any = stats.ttest_1samp(x, -MARGIN, alternative="greater")
    high: Any = stats.ttest_1samp(x, MARGIN, alternative="less")
    assert v.p_same == pytest.approx(min(1, 2 * max(low.pvalue, high.pvalue)))


def page(rng, questions, seeds):
    effects = rng.choice([-0.03, -0.004, 0, 0, 0.002, 0.01, 0.05], size=questions)
    spreads = rng.choice([0.0005, 0.003, 0.02], size=questions)
    return [
        Question(compare([rng.normal(m, s, size=seeds)]), MARGIN)
        for m, s in zip(effects, spreads, strict=True)
    ]


def read_off(low, high):
    if low >= -MARGIN and high <= MARGIN:
        return "no difference"
    return "supported" if low > 0 else "not supported" if high < 0 else "undecided"


def test_every_verdict_can_be_read_off_its_interval():
    rng, seen = np.random.default_rng(7), set()
    for _ in range(60):
        for v in decide(page(rng, int(rng.integers(1, 20)), int(rng.integers(5, 12)))):
            assert v.word == read_off(v.low, v.high)
            assert v.side == (v.low > 0) - (v.high < 0) or v.word == "no difference"
            seen.add((v.word, v.side))
    assert len({word for word, _ in seen}) == 4


def test_the_other_way_round_is_the_other_verdict():
    other = {"supported": "not supported", "not supported": "supported"}
    rng = np.random.default_rng(8)
    for _ in range(20):
        questions = page(rng, 9, 6)
        turned = [
            replace(q, comparison=replace(q.comparison, mean=-q.comparison.mean)) for q in questions
        ]
        for v, w in zip(decide(questions), decide(turned), strict=True):
            assert w.word == other.get(v.word, v.word)
            assert (w.low, w.high) == pytest.approx((-v.high, -v.low))
            assert (w.seeds, w.side) == (v.seeds, -v.side)


def test_holm_by_hand():
    """Three questions with p 0.01, 0.02 and 0.5 alone: the first is asked at 0.05 / 3, the second
    at 0.05 / 2, the third at 0.05."""
    t = [stats.t.isf(p / 2, 9) for p in (0.02, 0.01, 0.5)]
    questions = [Question(comparison(x / math.sqrt(10), 1.0, 10), 1e-9) for x in t]
    found = decide(questions)
    assert [v.word for v in found] == ["supported", "supported", "undecided"]
    assert [v.p for v in found] == pytest.approx([0.04, 0.03, 0.5])
    for v, level, x in zip(found, (2, 3, 1), t, strict=True):
        half = stats.t.isf(ALPHA / level / 2, 9) / math.sqrt(10)
        # Within a margin that nothing lies in, all are asked at 0.05 / 3: the stricter of the two.
        half = half if v.word != "undecided" else stats.t.isf(ALPHA / 6, 9) / math.sqrt(10)
        assert (v.low, v.high) == pytest.approx(
            (x / math.sqrt(10) - half, x / math.sqrt(10) + half)
        )
    (worse, *_) = decide([questions[0], *[Question(comparison(0.0, 1.0, 10), 1e-9)] * 2])
    assert worse.word == "undecided", "0.02 · 3 is more than 0.05"


def test_what_cannot_be_asked_says_why_and_is_no_member_of_the_family():
    good = Question(comparison(0.03, 0.02), MARGIN)
    few, none = Question(comparison(0.3, 0.01, 4), MARGIN), Question(compare([math.nan]), MARGIN)
    holes = Question(compare([[0.1] * 6 + [math.nan]]), MARGIN)
    first, *rest = decide([good, few, none, holes])
    assert first == decide([good])[0]
    assert [v.text for v in rest] == [
        "undecided: 4 seeds, and no interval of fewer than 5",
        "missing",
        "undecided: 1 of 7 pairs are missing",
    ]


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        ("≤", ("undecided", "not supported")),
        ("≥", ("supported", "undecided")),
        ("≈", ("undecided", "undecided")),
    ],
)
def test_a_bound_gives_no_verdict_that_it_flatters(bound, words):
    assert tuple(alone(mean, 0.01, bound=bound).word for mean in (0.1, -0.1)) == words
    assert alone(0.0, 0.001, bound=bound).word == "undecided", "the true value may be anywhere"


def test_the_number_of_seeds_that_would_decide_it_does():
    rng = np.random.default_rng(2)
    for _ in range(30):
        mean, sd = rng.normal(0, 0.01), 0.01 * rng.exponential()
        v = alone(mean, sd)
        if v.word != "undecided":
            continue
        assert 5 < v.seeds <= MOST_SEEDS
        assert alone(mean, sd, v.seeds).word != "undecided"
        assert alone(mean, sd, v.seeds - 1).word == "undecided"
    assert "more than 1000 seeds" in alone(0.0, 1.0).text


@pytest.fixture
def power(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("verdict_power")


def test_nominal_intervals_cover_what_they_should_for_every_layout(power):
    for cells, seeds in power.LAYOUTS:
        assert 0.93 <= power.coverage(cells, seeds, 6000, seed=1) <= 0.97, (cells, seeds)
    assert math.isnan(compare(np.zeros((2, 3))).low), "and 2 × 3 has none"
    assert all(seeds >= 5 for _, _, seeds in power.designs())


def test_the_simulated_rule_is_the_rule(power):
    rng = np.random.default_rng(3)
    effects = np.array([0, 0, 3, -3, 0.4, 1.0])
    x = power.seed_means(rng, (40, len(effects)), 3, 6, 0.8) + effects[:, None]
    x[:, 0] /= 10
    many = power.decide_pages(x)
    for values, words in zip(x, many, strict=True):
        ours = decide([Question(compare([row]), power.MARGIN) for row in values])
        assert [v.word for v in ours] == [power.WORDS[int(w)] for w in words]
    assert set(many.ravel()) == {-1, 0, 1, 2}


def test_without_an_effect_each_decided_verdict_is_rare(power):
    for cells, seeds in ((1, 5), (2, 10), (18, 5)):
        none = power.verdicts(cells, seeds, 1.0, np.zeros(power.QUESTIONS), 1500, seed=5)
        assert power.any_of(none, 1) <= 0.05
        assert power.any_of(none, -1) <= 0.05
        edge = power.verdicts(cells, seeds, 1.0, np.full(power.QUESTIONS, 0.5), 1500, seed=5)
        assert power.any_of(edge, 2) <= 0.05


def test_every_offered_design_can_say_supported(power):
    found = {(cells, seeds) for _, cells, seeds in power.designs()}
    assert len(found) >= 5
    for cells, seeds in found:
        assert power.power(cells, seeds, 1.0, pages=400) > 0.8
        assert power.power(cells, seeds, 2.0, pages=400) > 0.2


def test_the_page_shows_every_design(power):
    text = (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")
    for name, cells, seeds in power.designs():
        assert f"| `{name}` | {cells} × {seeds} |" in text
    for cells, seeds in power.LAYOUTS:
        assert f"| {cells} × {seeds} | 9" in text


def test_a_comparison_is_what_it_is_made_of():
    c = Comparison(0.1, 0.2, math.nan, math.nan, 3, 6, 6, 2)
    assert decide([Question(c, MARGIN)])[0].word == "undecided"
