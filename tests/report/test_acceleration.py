"""Epochs to equal accuracy, from trainings of different length whose speed-up is known."""

import math
from pathlib import Path

import numpy as np
import pytest

from gofau.report.acceleration import Rise, compared, rise, speedup_of, speedups, summaries
from gofau.report.acceleration_shown import acceleration
from gofau.report.cells import prepare
from gofau.report.speedup_figure import speedup
from tests.report.records import runs, with_metric

HORIZONS = (2, 4, 8, 16, 32)


def faster(factor, top=0.9):
    """A curve that is additive's, so many times sooner; a seed moves all of it."""

    def outcome(w):
        epochs = w["epochs"] * (factor if w["rule"] != "additive" else 1)
        return top - 0.4 * epochs**-0.5 + 0.001 * w["seed"]

    return outcome


def trained(outcome, **axes):
    return prepare(runs(outcome, **({"epochs": HORIZONS, "optimizer": ("sgd",)} | axes)))


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_a_curve_that_is_twice_as_fast_has_a_speed_up_of_two(factor):
    c = speedup_of(trained(faster(factor)), "hybrid")
    assert math.exp(c.mean) == pytest.approx(factor)
    assert (c.bound, c.pairs, c.seeds, c.cells) == ("", 5, 5, 1)


def test_between_two_horizons_the_curve_is_read_in_the_logarithm():
    # 1.5 times as fast, on a curve that is straight in the logarithm of the epochs.
    def outcome(w):
        epochs = w["epochs"] * (1.5 if w["rule"] == "hybrid" else 1)
        return 0.5 + 0.05 * math.log2(epochs) + 0.001 * w["seed"]

    c = speedup_of(trained(outcome), "hybrid")
    assert math.exp(c.mean) == pytest.approx(1.5)


def test_the_curve_never_falls():
    found = rise((2, 4, 8), (0.5, 0.7, 0.6))
    assert found is not None
    assert found.fitted == pytest.approx((0.5, 0.65, 0.65))
    assert found.epochs_to(0.65) == (4.0, "")
    assert rise((2, 4), (0.5, math.nan)) is None
    assert rise((2,), (0.5,)) is None


def test_what_is_never_reached_or_reached_at_once_is_a_bound():
    line = Rise((2.0, 8.0), (0.5, 0.7))
    assert line.epochs_to(0.4) == (2.0, "≤")
    assert line.epochs_to(0.9) == (8.0, "≥")
    slow = speedup_of(trained(faster(0.01)), "hybrid")
    assert (math.exp(slow.mean), slow.bound) == (pytest.approx(8 / 32), "≤")
    fast = speedup_of(trained(faster(100.0)), "hybrid")
    assert (math.exp(fast.mean), fast.bound) == (pytest.approx(8 / 2), "≥")


def test_where_both_are_there_from_the_start_the_pair_is_dropped_and_counted():
    def outcome(w):
        return 0.9 if w["seed"] < 2 else faster(2.0)(w)

    c = speedup_of(trained(outcome), "hybrid")
    assert (c.pairs, c.expected) == (3, 5)
    table = acceleration(trained(outcome))
    shown = {row.tags["rule"]: [cell.text for cell in row.cells] for row in table.rows}
    assert shown["hybrid"][-3] == "3 of 5"
    assert "2 of 5 pairs are missing" in shown["hybrid"][-5]


def test_a_missing_training_drops_its_pair():
    def outcome(w):
        gone = w["rule"] == "hybrid" and w["seed"] == 4 and w["epochs"] == 16
        return math.nan if gone else faster(2.0)(w)

    c = speedup_of(trained(outcome), "hybrid")
    assert (c.pairs, c.missing, c.seeds) == (4, 1, 4)


def test_seconds_count_what_an_epoch_costs():
    frame = trained(faster(2.0))
    frame.loc[frame["rule"] == "hybrid", "seconds"] *= 4
    speeds = speedups(frame)
    epochs, seconds = (compared(speeds, "hybrid", f"log/{u}") for u in ("epochs", "seconds"))
    assert math.exp(epochs.mean) == pytest.approx(2)
    assert math.exp(seconds.mean) == pytest.approx(0.5)


def test_the_table_says_it_all_for_each_cell():
    frame = trained(faster(2.0), optimizer=("sgd", "adam"), rule=("additive", "hybrid", "power"))
    data = summaries(frame).set_index(["optimizer", "rule"])
    row = data.loc[("adam", "hybrid")]
    assert row["speedup/epochs"] == pytest.approx(2)
    assert row["target"] == pytest.approx(0.9 - 0.4 / math.sqrt(8) + 0.002)
    assert row["epochs"] == pytest.approx(4)
    assert row["verdict"] == "supported"
    texts = [[cell.text for cell in r.cells] for r in acceleration(frame).rows]
    assert [row[:2] for row in texts] == [
        [o, r] for o in ("sgd", "adam") for r in ("additive", "hybrid", "power")
    ]
    assert texts[1][4] == "2.00"
    assert speedup(frame, Path()) is not None


def test_one_horizon_is_no_curve():
    frame = trained(faster(2.0), epochs=(8,))
    assert speedup_of(frame, "hybrid").pairs == 0
    table = acceleration(frame)
    assert {cell.text for row in table.rows for cell in row.cells} >= {"hybrid", "missing"}
    assert speedup(frame, Path()) is None


def test_where_lower_is_better_faster_is_still_faster():
    lower = prepare(with_metric(trained(faster(2.0)), "mse", lambda acc: 1 - acc))
    c = speedup_of(lower, "hybrid")
    assert math.exp(c.mean) == pytest.approx(2)
    shown = [[cell.text for cell in row.cells] for row in acceleration(lower).rows]
    assert shown[1][2] == f"{1 - (0.9 - 0.4 / math.sqrt(8) + 0.002):.4f}"


def test_the_interval_is_over_the_seeds():
    rng = np.random.default_rng(0)
    noise = {seed: float(f) for seed, f in enumerate(rng.uniform(1.2, 3.0, size=5))}
    frame = trained(lambda w: faster(noise[w["seed"]])(w))
    c = speedup_of(frame, "hybrid")
    assert c.sd > 0.1
    row = summaries(frame).set_index("rule").loc["hybrid"]
    assert (row["low/epochs"], row["high/epochs"]) == pytest.approx(
        (math.exp(c.low), math.exp(c.high))
    )
