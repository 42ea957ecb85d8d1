"""The control with steps of the same measured size."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gofau.report.cells import prepare
from gofau.report.control import control
from gofau.report.same_step import Matched, at_equal_steps, match, same_step, step_of
from gofau.report.same_step_figure import same_step_figure

from .records import runs, with_metric

ADDITIVE = (0.01, 0.1, 1.0, 10.0)
HYBRID = (0.03, 0.3)


def peak(step: float) -> float:
    """A result that depends on the size of the steps only: best at 0.1, a point less per factor
    10."""
    return 0.9 - 0.01 * abs(math.log10(step / 0.1))


def size(w: dict) -> float:
    """The steps of the hybrid rule are twice as long as the additive rule's at the same rate."""
    return w["lr"] * (2 if w["rule"] == "hybrid" else 1)


def records(gain=0.0, change=lambda frame: frame):
    """Two rules with rates of their own; hybrid is better by ``gain`` at the same size."""

    def outcome(w):
        return peak(size(w)) + (gain if w["rule"] == "hybrid" else 0) + 0.001 * w["seed"]

    parts = [
        runs(outcome, rule=(rule,), lr=rates)
        for rule, rates in (("additive", ADDITIVE), ("hybrid", HYBRID))
    ]
    frame = pd.concat(parts, ignore_index=True)
    twice = np.where(frame["rule.name"] == "hybrid", 2, 1)
    return prepare(change(frame.assign(update_rms=frame["optimizer.lr"] * twice)))


def only(frame, optimizer="sgd"):
    return frame[frame["optimizer"] == optimizer]


def compared(part) -> Matched:
    found = match(part, "hybrid")
    assert found is not None
    return found


def test_a_rule_that_is_another_rate_gains_nothing_at_equal_steps():
    found = compared(only(records()))
    assert found.matched.shape == (len(HYBRID), 5)
    # Steps of 0.06 and 0.6 lie between additive ones, and the result is linear in their logarithm
    # on either side of the peak.
    assert np.allclose(found.matched, 0)
    assert found.tuned["difference"].mean() == pytest.approx(peak(0.06) - peak(0.1))


def test_a_gain_at_equal_steps_is_found_whatever_the_rates():
    found = compared(only(records(gain=0.02)))
    assert np.allclose(found.matched, 0.02)
    assert found.ours.lr == 0.03
    assert found.theirs.lr == 0.1
    assert np.allclose(found.at_best, 0.02)
    assert len(found.at_best) == 1


def test_a_step_beyond_the_additive_ones_has_no_pair():
    beyond = records(change=lambda f: f.assign(update_rms=f["update_rms"] * np.where(
        (f["rule.name"] == "hybrid") & (f["optimizer.lr"] == 0.3) & (f["seed"] == 2), 1000, 1
    )))  # fmt: skip
    found = at_equal_steps(only(beyond), "hybrid")
    assert found.isna().sum().sum() == 1
    assert math.isnan(found.loc[0.3, 2])
    row = next(r for r in same_step(beyond).rows if r.cells[2].text == "sgd")
    assert row.cells[-1].text == "9 of 10"
    # The mean over all rates leaves the rate out for every seed.
    assert row.cells[-3].text == "+0.00"
    assert row.cells[-2].text != "–"


def test_runs_that_diverged_before_a_step_was_measured_are_no_bound():
    def lost(frame):
        high = (frame["rule.name"] == "additive") & (frame["optimizer.lr"] >= 1)
        return frame.assign(
            state=frame["state"].where(~high, "diverged"),
            update_rms=frame["update_rms"].where(~high, math.nan),
        )

    found = at_equal_steps(only(records(change=lost)), "hybrid")
    assert found.loc[0.3].isna().all()
    assert found.loc[0.03].notna().all()


def test_the_table_has_every_optimizer_and_the_mean_over_them():
    table = same_step(records(gain=0.02))
    assert [row.cells[2].text for row in table.rows] == ["sgd", "adam", "all"]
    assert all(row.cells[3].text == "hybrid" for row in table.rows)
    column = table.columns.index("same step: better by")
    assert [row.cells[column].text for row in table.rows] == ["+2.00"] * 3
    assert table.rows[-1].cells[-1].text == "20 of 20"
    assert len(table.columns) == len(table.rows[0].cells) == len(table.rows[-1].cells)


def test_without_measured_steps_there_are_no_pairs_and_no_figure(tmp_path):
    frame = records(change=lambda f: f.drop(columns="update_rms"))
    assert math.isnan(step_of(frame))
    assert same_step_figure(frame, tmp_path) is None
    row = same_step(frame).rows[0]
    assert row.cells[-1].text == "0 of 10"
    column = same_step(frame).columns.index("same step: better by")
    assert row.cells[column].text == "missing"


def test_of_a_loss_lower_is_better():
    frame = records(gain=0.02, change=lambda f: with_metric(f, "mse", lambda acc: 1 - acc))
    found = compared(only(frame))
    assert np.allclose(found.matched, 0.02)
    assert found.theirs.lr == 0.1


def test_the_control_uses_the_same_pairs():
    table = control(records(gain=0.02))
    column = table.columns.index("same mean step: better by")
    assert table.rows[0].cells[column].text == "+2.00"


def test_the_figure_has_a_line_per_rule_at_the_measured_sizes(tmp_path):
    figure = same_step_figure(records(gain=0.02), tmp_path)
    assert figure is not None
    panels = figure.axes
    assert [ax.get_title() for ax in panels] == ["sgd", "adam"]
    bars: Any = panels[0].containers
    lines = {c.get_label(): c.lines[0].get_xdata() for c in bars}
    assert np.allclose(lines["additive"], ADDITIVE)
    assert np.allclose(lines["hybrid"], [0.06, 0.6])
