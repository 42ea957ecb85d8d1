"""What the figures show is what the records hold: bars, colours, bands and legends."""

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Patch, Rectangle

from gofau.report.cells import read
from gofau.report.curves import curves
from gofau.report.heatmap import heatmap
from gofau.report.make import FIGURES
from gofau.report.sensitivity import over_lr
from gofau.report.speedup_figure import BOUND, speedup
from gofau.report.style import rule_colour, styled
from gofau.report.tuning import tuning_figure
from tests.report.records import runs, write


def test_every_figure_that_can_be_declared_is_known():
    assert {"speedup", "effects", "tuning", "curves"} <= set(FIGURES)


SPEED = {"additive": 1.0, "multiplicative": 1.0, "hybrid": 1.5, "power": 0.2}


def learned(w):
    """A result that a rule reaches SPEED times as fast; the multiplicative rule is additive's."""
    return 0.95 - 0.3 / (w["epochs"] * SPEED[w["rule"]]) + 0.001 * w["seed"]


def drawn(tmp_path, rules) -> tuple[Any, Any]:
    made = runs(learned, epochs=(2, 4, 8), rule=rules, optimizer=("sgd",))
    figure = speedup(read(write(tmp_path / "speed", made)), tmp_path)
    assert figure is not None
    return figure, figure.axes[0]


def test_a_speed_up_of_one_is_seen_and_only_bounds_are_hatched(tmp_path):
    figure, ax = drawn(tmp_path, tuple(SPEED))
    bars = {to_hex(p.get_facecolor()): p for p in ax.patches if isinstance(p, Rectangle)}
    mine = {rule: bars[rule_colour(rule).lower()] for rule in SPEED if rule != "additive"}
    assert mine["multiplicative"].get_height() == pytest.approx(0, abs=1e-9)
    lines = {to_hex(c.get_color()[0]): c for c in ax.collections if c.get_linewidth()[0] > 2}
    (segment,) = lines[rule_colour("multiplicative").lower()].get_segments()
    assert np.ptp(segment[:, 0]) > 0.1, "the line across the bar"
    assert segment[:, 1] == pytest.approx(1)
    assert {rule for rule, bar in mine.items() if bar.get_hatch()} == {"power"}
    (legend,) = figure.legends
    entries = dict(
        zip([t.get_text() for t in legend.get_texts()], legend.legend_handles, strict=True)
    )
    hatched = {k for k, h in entries.items() if isinstance(h, Patch) and h.get_hatch()}
    assert hatched == {BOUND}, "a rule's colour is shown without a hatch"


def test_without_bounds_the_legend_names_no_hatch(tmp_path):
    figure, _ = drawn(tmp_path, ("additive", "multiplicative"))
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["multiplicative"]


def test_the_colours_of_a_heat_map_span_its_cells(tmp_path):
    made = runs(lambda w: 0.97 + 0.01 * w["lr"], lr=(0.1, 0.5, 1.0), optimizer=("sgd",))
    figure = heatmap(read(write(tmp_path / "heat", made)), tmp_path)
    assert figure is not None
    low, high = figure.axes[0].images[0].get_clim()
    assert 97 < low < high == pytest.approx(98)
    assert "97.5" in [t.get_text() for t in figure.axes[0].texts], "one digit more"


def test_two_models_of_a_heat_map_have_two_scales(tmp_path):
    def accuracy(w):
        return (0.5 if w["model"] == "mlp" else 0.9) + 0.01 * w["lr"]

    one, two = ("sgd",), ("sgd", "adam")
    made = runs(accuracy, lr=(0.1, 0.5, 1.0), model=("mlp", "cnn"), optimizer=one)
    figure = heatmap(read(write(tmp_path / "heat", made)), tmp_path)
    assert figure is not None
    scales = {ax.images[0].get_clim() for ax in figure.axes if ax.images}
    assert sorted(high for _, high in scales) == pytest.approx([51, 91])
    # Rows of one model share theirs.
    made = runs(lambda w: 0.9 * w["lr"] ** (w["optimizer"] == "adam"), lr=(0.1, 0.5, 1.0),
                init=("a", "b"), optimizer=two)  # fmt: skip
    figure = heatmap(read(write(tmp_path / "same", made)), tmp_path)
    assert figure is not None
    assert len({ax.images[0].get_clim() for ax in figure.axes if ax.images}) == 1


def bands(ax: Any) -> list[Any]:
    return [path.vertices[:, 1] for band in ax.collections for path in band.get_paths()]


def test_bands_and_intervals_stay_within_0_and_100_per_cent(tmp_path):
    def accuracy(w):
        return 1.0 if w["seed"] else 0.5

    made = read(write(tmp_path / "wide", runs(accuracy, lr=(0.1, 1.0))))
    for figure in (curves(made, tmp_path / "wide"), over_lr(made, tmp_path)):
        assert figure is not None
        results = [ax for ax in figure.axes if ax.get_yscale() != "log"]
        ends = np.concatenate([y for ax in results for y in bands(ax)])
        assert ends.min() >= 0
        assert ends.max() <= 1 + 1e-12


def test_a_band_that_leaves_the_panel_has_an_arrow(tmp_path):
    """One seed is far below at all epochs: the band reaches below the panel."""
    made = runs(lambda w: 0.9 if w["seed"] else 0.2, seed=range(200), optimizer=("sgd",))
    figure = curves(read(write(tmp_path / "one", made)), tmp_path / "one")
    assert figure is not None
    _, result = figure.axes[:2]
    bottom = result.get_ylim()[0]
    cut = any(y.min() < bottom for y in bands(result))
    assert cut == any(line.get_marker() == "v" for line in result.lines)


@styled()
def test_a_tuning_band_that_leaves_the_panel_has_an_arrow(tmp_path):
    made = runs(lambda w: 0.9 + 0.001 * w["lr"] if w["lr"] > 12 else 0.1,
                lr=[float(k) for k in range(25)], seed=(0,), optimizer=("sgd",))  # fmt: skip
    figure = tuning_figure(read(write(tmp_path / "search", made)), tmp_path)
    assert figure is not None
    ax = figure.axes[0]
    assert min(y.min() for y in bands(ax)) < ax.get_ylim()[0]
    marks = [line for line in ax.lines if line.get_marker() == "v"]
    assert 1 in np.concatenate([np.asarray(line.get_xdata()) for line in marks])
