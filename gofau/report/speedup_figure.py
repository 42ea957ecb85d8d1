"""The bar chart of the speed-ups."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gofau.report.acceleration import summaries
from gofau.report.cells import BASELINE, in_order, rules
from gofau.report.panels import cut_marks, finish, grid, log_ticks, name_of, panels, tally, what
from gofau.report.style import rule_colour
from gofau.report.types import Frame

UNITS = {"epochs": "speed-up in epochs", "seconds": "speed-up in seconds"}
BOUND = "hatched: a bound"
LIMITS = (1 / 3, 3.3)
"""The vertical axis shows at least this; speed-ups near 1 do not look large."""


def speedup(runs: Frame, folder: Path) -> Figure | None:
    """Draw each rule's speed-up with its 95 % interval, on a log axis from 1. The value is a line
    across the bar, so that a speed-up of 1 is seen too. A bar is hatched if its value is a bound,
    since the shortest training already reaches the target or the longest one does not. An arrow:
    the interval goes on outside the panel. None without speed-ups."""
    data = summaries(runs)
    data = data[(data["rule"] != BASELINE) & data["speedup/epochs"].notna()]
    if data.empty:
        return None
    others = [a for a in data.columns[: data.columns.get_loc("rule")] if a != "optimizer"]
    blocks = panels(data, others)
    widest = 0.85 * data["optimizer"].nunique() + 0.6
    figure, axes = grid(len(UNITS), len(blocks), width=max(2.6, widest), sharey=True, sharex=True)
    axes[0][0].set_yscale("log")
    axes[0][0].set_ylim(*_limits(data))
    log_ticks(axes[0][0].yaxis)
    names = rules(runs)[1:]
    for row, (unit, label) in zip(axes, UNITS.items(), strict=True):
        for ax, (title, block) in zip(row, blocks, strict=True):
            _panel(ax, block, unit, in_order(data["optimizer"]), names)
            if unit == "epochs":
                ax.set_title(name_of(title))
        row[0].set_ylabel(label)
    legend: dict[str, Any] = {rule: Patch(color=rule_colour(rule)) for rule in names}
    if (data["bound"] != "").any():
        legend[BOUND] = Patch(facecolor="0.6", edgecolor="white", hatch="////", lw=0)
    text = "mean and 95 % interval of the speed-up to the additive rule's result; 1: as fast"
    return finish(figure, axes, f"{what(runs)}: {text}. {tally(runs)}", legend)


def _limits(data: Frame) -> tuple[float, float]:
    """The ends of the vertical axis: all values, and of the intervals what is within a factor of 3
    of these; longer ones would flatten the bars."""
    values = data[[f"speedup/{unit}" for unit in UNITS]].to_numpy(dtype=float)
    low, high = min(LIMITS[0], np.nanmin(values)), max(LIMITS[1], np.nanmax(values))
    ends = data[[f"{end}/{unit}" for unit in UNITS for end in ("low", "high")]].to_numpy(float)
    ends = ends[np.isfinite(ends)].clip(low / 3, 3 * high)
    return float(min(low, *ends) / 1.2), float(max(high, *ends) * 1.2)


def _panel(ax: Axes, block: Frame, unit: str, optimizers: list[str], names: list[str]) -> None:
    width = 0.8 / max(1, len(names))
    for i, rule in enumerate(names):
        part = block[block["rule"] == rule].set_index("optimizer").reindex(optimizers)
        part = part.assign(x=np.arange(len(part)) + (i - (len(names) - 1) / 2) * width)
        part = part[part[f"speedup/{unit}"].notna()]
        x, (value, low, high) = part["x"], (part[f"{k}/{unit}"] for k in ("speedup", "low", "high"))
        hatch = ["////" if mark else "" for mark in part["bound"]]
        colour = rule_colour(rule)
        ax.bar(
            x, value - 1, 0.9 * width, bottom=1, color=colour, hatch=hatch, ec="white", lw=0
        )  # fmt: skip
        ax.hlines(value, x - 0.45 * width, x + 0.45 * width, color=colour, lw=2.5)
        ax.vlines(x, low, high, color="0.35", lw=0.9)
        cut_marks(ax, x, low, high, "0.35")
    ax.axhline(1, color="black", lw=0.9)
    ax.set_xticks(range(len(optimizers)), optimizers)
