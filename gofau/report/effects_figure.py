"""The figure of the effects: how much better each rule is than the additive one, per problem."""

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gofau.report.cells import describe
from gofau.report.effects import Effect, effects_of
from gofau.report.panels import finish, grid, plain
from gofau.report.style import rule_colour
from gofau.report.types import Frame

REACH = 6.0
"""How far the panels reach, at least, in margins of no difference."""
MOST_COLUMNS = 4
GAP = 0.8
"""The space between two arms, in marks."""

Places = dict[tuple[str, str], float]
"""(arm, rule) → height of its mark, the same in all panels."""


def effects_figure(runs: Frame, folder: Path) -> Figure | None:
    """Draw the effects: one panel per problem, one line per arm and rule, each a mark with its 95 %
    interval. The grey band is the margin of no difference. What lies outside a panel is an arrow at
    its edge: with its value where the mean is outside, else at the cut end of the interval."""
    found = [e for e in effects_of(runs) if e.comparison.pairs]
    if not found:
        return None
    problems = list(dict.fromkeys((e.dataset, e.model) for e in found))
    rows = math.ceil(len(problems) / MOST_COLUMNS)
    columns = math.ceil(len(problems) / rows)
    places = _places(found)
    height = 0.13 * (max(places.values()) + 2) + 0.5
    figure, axes = grid(rows, columns, 2.6, height, sharey=True)
    for ax, problem in zip(axes.ravel(), problems, strict=False):
        _panel(ax, [e for e in found if (e.dataset, e.model) == problem], places)
        ax.set_title("\n".join(problem), fontsize=9)
    for ax in axes.ravel()[len(problems) :]:
        ax.set_visible(False)
    _name_arms(axes, places)
    caption = (
        "Better than the additive rule of the same optimizer by: mean, and 95 % interval over the"
        " seeds (not corrected for the number of intervals). Rivals: compared with the additive"
        " rule of the problem's best optimizer. Grey band: no difference. Arrow: goes on outside"
        f" the panel. Trained: {describe(runs)}"
    )
    legend = {_look(e)[0]: _handle(e) for e in found}
    return finish(figure, axes, caption, legend)


def _look(e: Effect) -> tuple[str, str, str]:
    """The name, colour and mark of what an effect belongs to."""
    return ("rival", "0.35", "D") if e.rival else (e.rule, rule_colour(e.rule), "o")


def _handle(e: Effect) -> Line2D:
    _, colour, shape = _look(e)
    return Line2D([], [], color=colour, marker=shape, ms=3.5, lw=1.2)


def _places(found: list[Effect]) -> Places:
    """The height of each mark: arm below arm, each as high as it has rules."""
    pairs = list(dict.fromkeys((e.arm, e.rule) for e in found))
    places, y, last = {}, 0.0, None
    for arm, rule in sorted(pairs, key=lambda pair: [a for a, _ in pairs].index(pair[0])):
        y += GAP if last not in (None, arm) else 0.0
        places[arm, rule] = y
        y, last = y + 1, arm
    return places


def _name_arms(axes: np.ndarray, places: Places) -> None:
    """Write each arm's name beside its marks, and draw a line between arms."""
    heights: dict[str, list[float]] = {}
    for (arm, _), y in places.items():
        heights.setdefault(arm, []).append(y)
    for ax in axes.ravel():
        ax.set_yticks([sum(ys) / len(ys) for ys in heights.values()], [*heights], fontsize=8)
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(max(places.values()) + 0.9, -0.9)
        ax.grid(visible=False, axis="y")
        for ys in list(heights.values())[1:]:
            ax.axhline(min(ys) - (1 + GAP) / 2, color="0.85", lw=0.6)


def _panel(ax: Axes, found: list[Effect], places: Places) -> None:
    metric, margin = found[0].metric, max(e.margin for e in found)
    scale = metric.scale
    ends = [abs(x) for e in found for x in (e.comparison.low, e.comparison.high) if x == x]
    # Wide enough for most intervals; the longest ones would squeeze these to a point.
    reach = max(REACH * margin, 1.1 * float(np.quantile(ends, 0.6)) if ends else 0.0)
    ax.axvspan(-scale * margin, scale * margin, color="0.9", lw=0)
    ax.axvline(0, color="0.5", lw=0.8)
    for e in found:
        _mark(ax, e, places[e.arm, e.rule], reach)
    ax.set_xlim(-scale * reach, scale * reach)
    most = 6 if metric.fraction else 4  # numbers of other metrics are longer
    ax.xaxis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(plain)
    unit = "points of accuracy" if metric.fraction else metric.title
    ax.set_xlabel(f"← worse · {unit} · better →", fontsize=8)
    ax.tick_params(axis="x", labelsize=8)


def _mark(ax: Axes, e: Effect, y: float, reach: float) -> None:
    c, scale = e.comparison, e.metric.scale
    (_, colour, shape), edge = _look(e), scale * reach
    shown = np.clip([scale * c.low, scale * c.high], -edge, edge)
    ax.plot(shown, [y, y], color=colour, lw=1.2)
    outside = abs(c.mean) > reach
    for side, end, head in ((-1, c.low, "<"), (1, c.high, ">")):
        if side * end > reach or (outside and side * c.mean > 0):
            ax.plot(side * 0.97 * edge, y, head, color=colour, ms=4)
    if not outside:
        ax.plot(scale * c.mean, y, shape, color=colour, ms=3.5)
        return
    side = 1 if c.mean > 0 else -1
    ax.text(
        side * 0.92 * edge, y, e.metric.text(c.mean, sign=True), fontsize=7, color=colour,
        ha="right" if side > 0 else "left", va="center", bbox={"fc": "white", "lw": 0, "pad": 0.5},
    )  # fmt: skip
