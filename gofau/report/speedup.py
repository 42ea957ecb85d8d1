"""Bars of the speed-up over the additive rule."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from gofau.report.acceleration import speedups
from gofau.report.cells import BASELINE, in_order, rules
from gofau.report.panels import finish, grid, name_of, panels, tally, what
from gofau.report.style import rule_colour
from gofau.report.types import Frame

UNITS = {"epochs": "speed-up in epochs", "seconds": "speed-up in seconds"}
TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


def speedup(runs: Frame, folder: Path) -> Figure | None:
    """How many times sooner each rule reaches the target, with its 95 % interval, on a log axis
    from 1; hatched where runs were censored and the bar is a bound."""
    data = speedups(runs, folder)
    data = data[(data["rule"] != BASELINE) & data["speedup/epochs"].notna()]
    if data.empty:
        return None
    others = [a for a in data.columns[: data.columns.get_loc("rule")] if a != "optimizer"]
    blocks = panels(data, others)
    widest = 0.85 * data["optimizer"].nunique() + 0.6
    figure, axes = grid(len(UNITS), len(blocks), width=max(2.6, widest), sharey=True, sharex=True)
    for row, (unit, label) in zip(axes, UNITS.items(), strict=True):
        for ax, (title, block) in zip(row, blocks, strict=True):
            _bars(ax, block, unit, in_order(data["optimizer"]), rules(runs)[1:])
            if unit == "epochs":
                ax.set_title(name_of(title))
        row[0].set_ylabel(label)
    caption = f"{what(runs)}: to the additive target, {tally(runs)} (hatched: a bound)"
    return finish(figure, axes, caption)


def _bars(ax, block: Frame, unit: str, optimizers: list[str], names: list[str]) -> None:
    width = 0.8 / max(1, len(names))
    ends = []
    for i, rule in enumerate(names):
        part = block[block["rule"] == rule].set_index("optimizer").reindex(optimizers)
        value, low, high = (part[f"{k}/{unit}"].to_numpy() for k in ("speedup", "low", "high"))
        x = np.arange(len(optimizers)) + (i - (len(names) - 1) / 2) * width
        bars = ax.bar(x, value - 1, width * 0.9, bottom=1, color=rule_colour(rule), label=rule)
        for bar, mark in zip(bars, part["bound"].fillna(""), strict=True):
            bar.set(hatch="////" if mark else "", edgecolor="white", linewidth=0)
        known = np.isfinite(low)
        reach = np.abs(np.stack([value - low, high - value]))[:, known]
        ax.errorbar(x[known], value[known], reach, fmt="none", ecolor="0.35", elinewidth=0.9)
        ends += [*value[np.isfinite(value)]]
    ax.axhline(1, color="black", lw=0.9)
    ax.set_yscale("log")
    ax.set_ylim(min(0.45, *ends) / 1.5, max(2.2, *ends) * 1.5)
    ax.set_yticks(TICKS, [f"{t:g}" for t in TICKS])
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylim(min(0.45, *ends) / 1.5, max(2.2, *ends) * 1.5)
    ax.set_xticks(range(len(optimizers)), optimizers)
