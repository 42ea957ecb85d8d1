"""Step sizes without tuning beside fixed rates: choice, ratio, goal, and what is missing."""

import math

import numpy as np
import pandas as pd
import pytest

from gofau.report.cells import prepare, read
from gofau.report.experiments import report_of
from gofau.report.untuned import against_fixed, untuned
from gofau.report.untuned_figure import untuned_figure
from tests.report.records import runs, with_metric, write

BEST = {0.01: 0.60, 0.1: 0.80, 1.0: 0.70}


def made(own=0.78, of_rate=BEST, rates=(0.01, 0.1, 1.0), metric=None):
    """Adam: three fixed rates, five seeds, and ``layerwise``, for which lr is 1."""

    def fixed(w):
        found = of_rate[w["lr"]]
        return None if found is None else found + 0.01 * w["seed"]

    axes = {"optimizer": ("adam",), "rule": ("additive",)}
    base = runs(fixed, lr=rates, **axes).assign(**{"stepsize.name": "base"})
    mine = runs(lambda w: own + 0.01 * w["seed"], lr=(1.0,), **axes)
    mine = mine.assign(**{"stepsize.name": "layerwise", "seconds": 9})
    both = pd.concat([base, mine], ignore_index=True)
    return prepare(both if metric is None else with_metric(both, "loss", metric))


def best(frame):
    """The comparison, which must have found a fixed rate, and that rate."""
    found = against_fixed(frame, "layerwise")
    assert found.fixed is not None
    return found, found.fixed


def test_it_stands_beside_the_best_rate_with_the_mean_of_ratios_per_seed():
    found, fixed = best(made())
    assert (found.tried, fixed.lr, fixed.at_edge) == (3, 0.1, False)
    expected = [(0.78 + 0.01 * k) / (0.80 + 0.01 * k) for k in range(5)]
    assert found.ratio.mean == pytest.approx(sum(expected) / 5)
    assert found.ratio.n == 5
    assert found.ratio.low < found.ratio.mean < found.ratio.high


def test_the_rate_is_chosen_on_the_validation_split():
    frame = made()
    frame.loc[frame["lr"] == 0.01, "choice"] = 0.99
    found, fixed = best(frame)
    assert (fixed.lr, fixed.at_edge) == (0.01, True)
    assert found.ratio.mean > 1


@pytest.mark.parametrize(("own", "met"), [(0.78, True), (0.74, False)])
def test_of_an_accuracy_95_per_cent_is_the_goal(own, met):
    assert against_fixed(made(own), "layerwise").met is met


@pytest.mark.parametrize(("own", "met"), [(0.79, True), (0.74, False)])
def test_of_a_loss_a_tenth_more_is_the_goal(own, met):
    frame = made(own, metric=lambda accuracy: 1 - accuracy)
    found, fixed = best(frame)
    assert fixed.lr == 0.1
    assert found.met is met
    assert found.ratio.mean > 1


def test_a_rate_at_which_all_diverge_is_not_the_best_and_counts_as_tried():
    found, fixed = best(made(of_rate=BEST | {1.0: None}))
    assert (found.tried, fixed.lr) == (3, 0.1)


def test_the_table_has_a_row_per_problem_and_optimizer_and_says_what_it_costs():
    more = made()
    more = more.assign(optimizer="sgd", **{"optimizer.name": "sgd"})
    table = untuned(pd.concat([made(), more], ignore_index=True))
    heads = dict(zip(table.columns, (c.text for c in table.rows[0].cells), strict=True))
    assert [row.tags["optimizer"] for row in table.rows] == ["adam", "sgd"]
    assert heads["step size"] == "layerwise"
    assert heads["best rate"] == "0.1"
    assert heads["result"].startswith("80.00 ± ")
    assert heads["its result"].startswith("82.00 ± ")
    assert heads["goal"] == "met"
    assert (heads["seconds per run, fixed"], heads["seconds per run"]) == ("4.0", "9.0")
    assert table.data["ratio/mean"].tolist() == pytest.approx([0.97561] * 2, abs=1e-4)


def test_without_fixed_rates_it_is_missing():
    frame = made()
    (row,) = untuned(frame[frame["stepsize"] != "base"]).rows
    assert "missing" in [c.text for c in row.cells]
    assert math.isnan(untuned(frame[frame["stepsize"] != "base"]).data["ratio/mean"][0])


def test_a_run_that_is_still_missing_is_no_pair():
    frame = made()
    gone = (frame["stepsize"] == "layerwise") & (frame["seed"] == 3)
    frame.loc[gone, ["outcome", "choice"]] = math.nan
    assert against_fixed(frame, "layerwise").ratio.n == 4


def test_the_picture_has_a_line_at_the_result_of_the_step_size(tmp_path):
    figure = untuned_figure(made(), tmp_path)
    assert figure is not None
    (ax,) = figure.axes
    curve, line = ax.get_lines()[0], ax.get_lines()[-1]
    assert [*np.asarray(curve.get_xdata())] == [0.01, 0.1, 1.0]
    assert [*np.asarray(curve.get_ydata())] == pytest.approx([0.62, 0.82, 0.72])
    assert [*np.asarray(line.get_ydata())] == pytest.approx([0.80, 0.80])
    only = made()
    assert untuned_figure(only[only["stepsize"] == "base"], tmp_path) is None


def test_the_step_size_survives_reading_the_records(tmp_path):
    """``steps``, a count, is left out when records are read; ``stepsize`` begins like it."""
    frame = made().drop(columns=["stepsize"])
    found = read(write(tmp_path / "layerwise", frame.assign(steps=3)))
    assert set(found["stepsize"]) == {"base", "layerwise"}
    assert "steps" not in found


def test_the_experiment_and_its_twin_have_this_table():
    for name in ("layerwise", "smoke_layerwise"):
        assert report_of(name).tables[0] == "untuned"
