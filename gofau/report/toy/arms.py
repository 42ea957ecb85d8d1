"""Helpers of the reports on drawn configurations: names and line styles of arms, and the grid of
panels."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gofau.report.style import RULE_DASHES, rule_colour
from gofau.report.toy.cells import different, optimizer_name, where

CELL = ["problem", "start", "optimizer"]
NAMES = {"hybrid": "hybrid (η_out = η)", "hybrid_free": "hybrid (η_out free)"}
ORDERS = {"hybrid": "η_out = η", "hybrid_free": "η_out free"}
"""The hybrid arms for which the order additive > multiplicative > hybrid is tested."""


def name(arm: str) -> str:
    return NAMES.get(arm, arm)


def by_start(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort the rows so that those of one problem and start are together, in order of appearance."""
    places = {place: i for i, place in enumerate(different(frame, "problem", "start"))}
    at = [places[place] for place in zip(frame["problem"], frame["start"], strict=True)]
    return frame.assign(at=at).sort_values("at", kind="stable").drop(columns="at")


def style(arm: str, rule: str) -> dict[str, Any]:
    """Colour and dashes of an arm: those of its rule, but other dashes if its name differs."""
    own = RULE_DASHES.get(rule, "-") if arm == rule else (0, (5, 1.5, 1, 1.5, 1, 1.5))
    return {"color": rule_colour(rule), "ls": own}


def panels(
    cells: pd.DataFrame, draw: Callable[[Axes, dict[str, str]], None], labels: tuple[str, str]
) -> Figure:
    """A figure with one row of panels per problem and start, one column per optimizer, one legend.

    Args:
        cells: with columns problem, start, optimizer, arm, rule.
        draw: draws the cell of a problem, start and optimizer into a panel.
        labels: of the horizontal and the vertical axis.
    """
    rows, columns = different(cells, "problem", "start"), different(cells, "optimizer")
    size = (2.6 * len(columns) + 0.4, 2.0 * len(rows) + 0.9)
    figure = Figure(figsize=size)
    shape = (len(rows), len(columns))
    axes = figure.subplots(*shape, squeeze=False, sharex="row", sharey="row")
    for (problem, start), line in zip(rows, axes, strict=True):
        for (optimizer,), ax in zip(columns, line, strict=True):
            if not where(cells, problem=problem, start=start, optimizer=optimizer).empty:
                draw(ax, {"problem": problem, "start": start, "optimizer": optimizer})
            ax.set_title(f"{problem} from {start}, {optimizer_name(optimizer)}", fontsize=8)
            ax.tick_params(labelsize=7)
            ax.minorticks_off()  # in panels as small as these they take more time than they tell
        line[0].set_ylabel(labels[1], fontsize=8)
    for ax in axes[-1]:
        ax.set_xlabel(labels[0], fontsize=8)
    arms = different(cells, "arm", "rule")
    lines = [Line2D([], [], lw=1.5, **style(arm, rule)) for arm, rule in arms]
    figure.legend(lines, [name(arm) for arm, _ in arms], ncols=len(arms), loc="upper center",
                  fontsize=8, frameon=False)  # fmt: skip
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.3 / size[1]))
    return figure


def ranges(cells: pd.DataFrame) -> str:
    """The ranges that hyperparameters were drawn from, as the end of a sentence."""
    words = (of for (text,) in different(cells, "ranges") for of in str(text).split("; "))
    return ", ".join(dict.fromkeys(words))


def found(falls: bool | None) -> str:
    return "—" if falls is None else "found" if falls else "not found"
