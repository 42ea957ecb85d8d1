"""The figure of effects: nothing is cut without a mark, and the legend names what is drawn."""

from typing import Any

import pandas as pd
import pytest

from gofau.report.cells import prepare
from gofau.report.effects_figure import effects_figure
from tests.report.records import runs
from tests.report.test_effects import prepared


def arrows(ax: Any):
    """Where arrows are: (shape, height)."""
    lines = [line for line in ax.lines if line.get_marker() in ("<", ">")]
    return {(line.get_marker(), line.get_ydata()[0]) for line in lines}


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_what_lies_outside_the_picture_is_an_arrow_with_its_value(tmp_path):
    figure = effects_figure(prepared(), tmp_path)
    assert figure is not None
    ax = figure.axes[0]
    assert [t.get_text() for t in ax.texts] == ["−30.00", "−30.00"], "multiplicative, two arms"
    assert {shape for shape, _ in arrows(ax)} == {"<"}
    assert len(arrows(ax)) == 2
    assert legend(figure) == ["hybrid", "multiplicative", "rival"]
    alone = runs(outcome_alone, optimizer=("sgd",), rule=("additive",))
    assert effects_figure(prepare(alone), tmp_path) is None


def outcome_alone(w):
    return 0.9


def wide(w):
    """Hybrid is 1 point better on the average, with Adam by very different amounts."""
    far = 0.2 * (w["seed"] - 2) * (w["optimizer"] == "adam")
    return 0.6 + (0.01 + far + 0.001 * w["seed"]) * (w["rule"] == "hybrid")


def test_an_interval_that_is_cut_has_an_arrow_at_each_end(tmp_path):
    several = runs(wide, optimizer=("sgd", "rmsprop", "adagrad", "adam"))
    figure = effects_figure(prepare(several), tmp_path)
    assert figure is not None
    ax: Any = figure.axes[0]
    heights = dict(zip([t.get_text() for t in ax.get_yticklabels()], ax.get_yticks(), strict=True))
    assert arrows(ax) == {("<", heights["adam"]), (">", heights["adam"])}
    low, high = ax.get_xlim()
    drawn = [x for line in ax.lines for x in line.get_xdata() if len(line.get_xdata()) == 2]
    assert all(low <= x <= high for x in drawn)


def test_every_panel_names_the_arms_at_the_same_height(tmp_path):
    more = runs(wide, optimizer=("sgd", "lion"), model=("resnet8",))
    figure = effects_figure(prepare(pd.concat([runs(wide), more], ignore_index=True)), tmp_path)
    assert figure is not None
    first, second = figure.axes[:2]
    assert first.get_ylim() == second.get_ylim()
    assert [t.get_text() for t in first.get_yticklabels()] == ["sgd", "adam", "lion"]
    assert first.get_yticks() == pytest.approx(second.get_yticks())
