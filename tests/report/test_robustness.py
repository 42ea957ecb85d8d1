"""Sensitivity is measured from an arm's own best, in a curve whose drop and width are known."""

import math

import numpy as np
import pytest

from gofau.report.cells import prepare
from gofau.report.robustness import curve_of, less_drop
from gofau.report.robustness_table import robustness
from tests.report.records import runs, with_metric

RATES = (0.0001, 0.001, 0.01, 0.1, 1.0)


def peaked(best, slope, top=0.9):
    """Accuracy falls by ``slope`` per decade from ``best``; a seed moves all of it."""
    return lambda w: top - slope * abs(math.log10(w["lr"] / best)) + 0.001 * w["seed"]


def arms(additive, hybrid, **axes):
    def outcome(w):
        return (additive if w["rule"] == "additive" else hybrid)(w)

    return prepare(runs(outcome, **({"lr": RATES, "optimizer": ("sgd",)} | axes)))


def test_a_curve_moved_sideways_or_up_is_not_more_robust():
    c = less_drop(arms(peaked(0.01, 0.1), peaked(0.1, 0.1, top=0.95)), "hybrid")
    # Hybrid's best has one rate beyond it, so both lose over one decade on either side.
    assert c.mean == pytest.approx(0)
    assert (c.pairs, c.seeds, c.cells) == (5, 5, 1)


def test_a_flatter_curve_is_more_robust_by_hand():
    c = less_drop(arms(peaked(0.01, 0.1), peaked(0.01, 0.04)), "hybrid")
    # Over two decades on either side a slope s loses s·(2 + 1 + 0 + 1 + 2) / 5 = 1.2 s.
    assert c.mean == pytest.approx(1.2 * (0.1 - 0.04))


def test_where_an_arms_best_is_at_the_end_of_the_grid_nothing_is_said():
    c = less_drop(arms(peaked(0.01, 0.1), peaked(1.0, 0.1)), "hybrid")
    assert (c.pairs, c.expected) == (0, 5)
    assert "end of the grid" in c.why
    data = robustness(arms(peaked(0.01, 0.1), peaked(1.0, 0.1))).data.set_index("rule")
    assert data["at_edge"].tolist() == [False, True]


def test_the_table_by_hand():
    data = robustness(arms(peaked(0.01, 0.1), peaked(0.1, 0.01))).data.set_index("rule")
    additive, hybrid = data.loc["additive"], data.loc["hybrid"]
    assert additive["mean"] == pytest.approx(0.902 - 0.12)
    assert additive["drop"] == pytest.approx(0.12)
    assert (additive["steps"], hybrid["steps"]) == (2, 1)
    assert (additive["nearby"], hybrid["nearby"]) == pytest.approx((0.12, 0.02 / 3))
    # 2 points are a fifth of a decade on either side; hybrid's lose them at two decades below, and
    # never above.
    assert (additive["width"], additive["width_open"]) == (pytest.approx(0.4), False)
    assert (hybrid["width"], hybrid["width_open"]) == (pytest.approx(3), True)
    assert (additive["near_own_best"], hybrid["near_own_best"]) == pytest.approx((0.2, 0.8))
    assert hybrid["less_drop/verdict"] == "supported"
    assert hybrid["less_drop/mean"] == pytest.approx(0.2 / 3 - 0.02 / 3)


def test_the_best_is_chosen_on_validation():
    frame = arms(peaked(0.01, 0.1), peaked(0.01, 0.1))
    frame["choice"] = frame["choice"].where(frame["lr"] != 0.1, 0.99)
    curve = curve_of(frame[frame["rule"] == "additive"], "lr")
    assert curve.places[curve.best] == 0.1
    assert curve.drop(1).mean() == pytest.approx(0.0), "(0.9 + 0.8 + 0.7) / 3 is 0.8"


def test_diverged_and_dead_runs_are_counted():
    def outcome(w):
        if w["rule"] == "hybrid" and w["lr"] == 1.0:
            return None if w["seed"] == 0 else 0.1
        return 0.9

    table = robustness(prepare(runs(outcome, lr=RATES, optimizer=("sgd",))))
    texts = {row.cells[3].text: [cell.text for cell in row.cells] for row in table.rows}
    assert texts["hybrid"][11] == "1, 4 of 25"
    assert table.data.set_index("rule").loc["hybrid", ["diverged", "dead"]].tolist() == [1, 4]


def test_initialisations_have_no_order_and_lose_over_all_of_them():
    def outcome(w):
        loss = {"a": 0.0, "b": 0.2, "c": 0.4}[w["init"]]
        return 0.9 - loss * (1.0 if w["rule"] == "additive" else 0.5)

    frame = prepare(runs(outcome, init=("b", "a", "c"), optimizer=("sgd",)))
    c = less_drop(frame, "hybrid")
    assert c.mean == pytest.approx(0.1)
    data = robustness(frame).data
    assert data["drop"].tolist() == pytest.approx([0.2, 0.1])
    assert data["width"].isna().all()


def test_where_lower_is_better_a_drop_is_still_above_zero():
    frame = arms(peaked(0.01, 0.1), peaked(0.01, 0.04))
    lower = prepare(with_metric(frame, "mse", lambda acc: 1 - acc))
    assert less_drop(lower, "hybrid").mean == pytest.approx(1.2 * 0.06)
    data = robustness(lower).data.set_index("rule")
    assert (data["drop"] > 0).all()
    assert data.loc["additive", "worst"] == pytest.approx(1 - (0.902 - 0.2))


def test_an_incomplete_seed_has_no_interval_and_says_so():
    frame = arms(peaked(0.01, 0.1), peaked(0.01, 0.04))
    frame = frame[~((frame["seed"] == 2) & (frame["lr"] == 0.1) & (frame["rule"] == "hybrid"))]
    c = less_drop(frame, "hybrid")
    assert (c.pairs, c.missing, c.seeds) == (4, 1, 4)
    assert np.isnan(c.low)


def test_seeds_of_runs_that_were_not_made_alike_are_left_out():
    frame = arms(peaked(0.01, 0.1), peaked(0.01, 0.04))
    here = (frame["seed"] == 1) & (frame["rule"] == "hybrid") & (frame["lr"] == 0.1)
    frame["compute.threads"] = np.where(here, 2, 1)
    c = less_drop(frame, "hybrid")
    assert (c.pairs, c.missing, dict(c.unlike)) == (4, 1, {"conditions": 1})
