"""Tables of made-up records, against numbers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from gofau.report.cells import prepare
from gofau.report.control import budget, control, retuned
from gofau.report.render import Cell, Row, Table, latex, markdown, save_table
from gofau.report.tables import accuracy, comparison, robustness
from tests.report.records import runs

POINTS = {"additive": 0.80, "hybrid": 0.85}


def texts(table):
    return [[cell.text for cell in row.cells] for row in table.rows]


def test_accuracy_shows_n_the_diverged_and_the_missing():
    def outcome(w):
        if w["optimizer"] == "adam":
            return None if w["rule"] == "hybrid" else math.nan
        return None if w["rule"] == "additive" and w["seed"] == 0 else POINTS[w["rule"]]

    table = accuracy(prepare(runs(outcome)))
    assert table.columns == ("optimizer", "additive", "hybrid")
    # (0.1 + 0.8 + 0.8) / 3; sd √(2·0.2333² + 0.4667²)/√2 = 0.4041; half = 4.3027 · sd / √3.
    assert texts(table) == [
        ["sgd", "56.67 ± 100.40 (40.41; 3, 1✕)", "85.00 ± 0.00 (0.00; 3)"],
        ["adam", "missing", "diverged (3, 3✕)"],
    ]
    assert [[cell.bold for cell in row.cells] for row in table.rows] == [
        [False, False, True],
        [False, False, False],
    ]
    assert table.data[["n", "diverged", "missing"]].sum().tolist() == [9, 4, 3]


def test_a_new_rule_and_a_new_optimizer_appear_by_themselves():
    table = accuracy(prepare(runs(lambda w: 0.5, rule=("additive", "mine"), optimizer=("lion",))))
    assert table.columns == ("optimizer", "additive", "mine")
    assert texts(table)[0][0] == "lion"


def test_equal_bests_are_both_bold():
    (row,) = accuracy(prepare(runs(lambda w: 0.5, optimizer=("sgd",)))).rows
    assert [cell.bold for cell in row.cells] == [False, True, True]


def test_robustness_by_hand():
    def outcome(w):
        if w["rule"] == "additive":
            return {0.01: 0.5, 0.1: 0.9, 1.0: None}[w["lr"]]
        return {0.01: 0.89, 0.1: 0.88, 1.0: 0.3}[w["lr"]]

    frame = prepare(runs(outcome, lr=(0.01, 0.1, 1.0), optimizer=("sgd",)))
    data = robustness(frame).data.set_index("rule")
    assert data.loc["additive", "mean"] == pytest.approx((0.5 + 0.9 + 0.1) / 3)
    assert data.loc["hybrid", "mean"] == pytest.approx((0.89 + 0.88 + 0.3) / 3)
    # The best cell of any rule is 0.9: one of three is near it, and two of three.
    assert data["near_best"].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert data["divergence_rate"].tolist() == pytest.approx([1 / 3, 0])
    assert data["worst"].tolist() == pytest.approx([0.1, 0.3])


def test_robustness_has_no_interval_where_every_seed_misses_a_cell():
    frame = prepare(
        runs(lambda w: 0.5 if w["seed"] != w["lr"] else math.nan, lr=(0, 1, 2), optimizer=("sgd",))
    )
    data = robustness(frame).data
    assert data["low"].isna().all()
    assert data["missing"].tolist() == [3, 3]
    assert texts(robustness(frame))[0][4] == "50.00 (6, 3?)"


def test_comparison_is_paired_and_corrected():
    def outcome(w):
        noise = {0: 0.0, 1: 0.03, 2: -0.03}[w["seed"]]
        gain = {"additive": 0.0, "hybrid": 0.02, "exponential": -0.1}[w["rule"]]
        return 0.7 + noise + gain

    table = comparison(prepare(runs(outcome, rule=("additive", "hybrid", "exponential"))))
    first = table.data.iloc[0]
    assert (first["over"], first["rule"]) == ("all", "hybrid")
    assert first[["mean", "low", "high"]].tolist() == pytest.approx([0.02] * 3)
    assert len(table.rows) == 2 + 2 * 2
    assert (table.data["p_holm"] >= table.data["p"]).all()


def tuned(w):
    """Additive is best at 0.2 and hybrid at 0.4, where it is a point better."""
    best = {"additive": 0.2, "hybrid": 0.4}[w["rule"]]
    top = {"additive": 0.90, "hybrid": 0.91}[w["rule"]]
    return top - 0.1 * abs(math.log2(w["lr"] / best)) + 0.001 * w["seed"]


def test_the_control_tunes_both_rules_over_the_same_rates():
    frame = prepare(runs(tuned, lr=(0.1, 0.2, 0.4, 0.8), optimizer=("sgd",)))
    found = retuned(frame, "hybrid")
    assert (found["theirs"].lr, found["ours"].lr, found["tried"]) == (0.2, 0.4, 4)
    assert not found["ours"].at_edge
    assert found["tuned"].mean == pytest.approx(0.01)
    assert found["matched"].pairs == 0, "nobody measured the size of the steps"
    assert "not just the learning rate" in control(frame).note


def test_steps_are_matched_by_their_measured_size():
    frame = runs(tuned, lr=(0.1, 0.2, 0.4, 0.8), optimizer=("sgd",))
    # Hybrid's steps are half as long as additive's at the same rate, so its curve is that of
    # additive plus 0.01; its shortest are shorter than any of additive's.
    half = np.where(frame["rule.name"] == "hybrid", 0.5, 1.0)
    found = retuned(prepare(frame.assign(update_rms=0.01 * frame["optimizer.lr"] * half)), "hybrid")
    assert found["matched"].mean == pytest.approx(0.01)
    assert (found["matched"].pairs, found["matched"].expected) == (3 * 3, 4 * 3)
    # And between two of additive's sizes its accuracy is read in between.
    sizes = frame["optimizer.lr"] * np.where(half == 1, 1, math.sqrt(0.5))
    found = retuned(prepare(frame.assign(update_rms=sizes)), "hybrid")
    assert found["matched"].mean == pytest.approx(np.mean([-0.04, 0.06, 0.06]))


def test_a_rate_that_one_rule_misses_is_in_nobodys_budget():
    def outcome(w):
        return math.nan if w["rule"] == "additive" and w["lr"] == 0.2 and w["seed"] else tuned(w)

    frame = prepare(runs(outcome, lr=(0.1, 0.2, 0.4), optimizer=("sgd",)))
    assert budget(frame, ["additive", "hybrid"]) == [0.1, 0.4]
    found = retuned(frame, "hybrid")
    assert found["theirs"].at_edge
    assert any(text.endswith("*") for text in texts(control(frame))[0])


def test_a_control_without_runs_says_missing():
    table = control(prepare(runs(lambda w: math.nan, lr=(0.1, 0.2), optimizer=("sgd",))))
    assert texts(table)[0][5:7] == ["missing", "missing"]
    assert "hybrid: missing" in table.note


def test_the_choice_is_made_on_validation_not_on_test():
    frame = prepare(runs(tuned, lr=(0.2, 0.4), optimizer=("sgd",)))
    frame["choice"] = frame["choice"].where(frame["lr"] == 0.2, 0.99)
    assert retuned(frame, "hybrid")["theirs"].lr == 0.4


TABLE = Table(
    "t",
    "A_title",
    "A note.\nOf two lines.",
    ("rule", "a|b"),
    (Row((Cell("x_y"), Cell("1.0 ± 0.5 (3, 1✕) 5%", bold=True))),),
    pd.DataFrame({"rule": ["x_y"], "value": [1 / 3]}),
)


def test_the_three_formats(tmp_path):
    assert "| x_y | **1.0 ± 0.5 (3, 1✕) 5%** |" in markdown(TABLE)
    text = latex(TABLE)
    assert r"x\_y & \textbf{1.0 $\pm$ 0.5 (3, 1$\dagger$) 5\%} \\" in text
    rules = [line for line in text.splitlines() if line.endswith("rule")]
    assert rules == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert all(line.startswith("%") for line in text.split(r"\begin")[0].splitlines())
    paths = save_table(TABLE, tmp_path)
    assert [p.name for p in paths] == ["t.md", "t.tex", "t.csv"]
    assert paths[2].read_text() == "rule,value\nx_y,0.333333\n"
