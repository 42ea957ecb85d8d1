"""The figure of step sizes without tuning: results over the fixed rates, and theirs as a line."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from gofau.report.cells import in_order
from gofau.report.metric import metric_of
from gofau.report.panels import averaged, finish, grid, panels, per_cent, plain, upright, what
from gofau.report.statistics import summary
from gofau.report.types import Frame
from gofau.report.untuned import BASE


def untuned_figure(runs: Frame, folder: Path) -> Figure | None:
    """Draw test results against the fixed learning rate: one row per problem, one column per
    optimizer; the result of a step size that needs no rate is a horizontal line with its interval
    as a band. None without such a step size or without fixed rates."""
    known = runs.dropna(subset=["outcome"])
    if known["stepsize"].nunique() < 2 or not pd.api.types.is_numeric_dtype(known["lr"]):
        return None
    blocks, optimizers = panels(known, ["dataset", "model"]), in_order(known["optimizer"])
    figure, axes = grid(
        len(blocks), len(optimizers), width=3.0, height=2.1, sharex="col", sharey="row"
    )
    for row, (title, block) in zip(axes, blocks, strict=True):
        for ax, optimizer in zip(row, optimizers, strict=True):
            _panel(ax, block[block["optimizer"] == optimizer])
        metric = metric_of(block)
        if metric.fraction:
            per_cent(row[0])
        row[0].set_ylabel(upright(f"{title}\ntest {metric.title}{metric.unit}"))
    for column, optimizer in enumerate(optimizers):
        axes[0][column].set_title(optimizer)
        axes[-1][column].set_xlabel("learning rate")
    caption = f"{what(runs)}: {averaged(runs)}"
    return finish(figure, axes, caption)


def _panel(ax: Axes, part: Frame) -> None:
    fixed = part[part["stepsize"] == BASE]
    rates = in_order(fixed["lr"])
    found = [summary(fixed.loc[fixed["lr"] == lr, "outcome"]) for lr in rates]
    mean = np.array([s.mean for s in found])
    ends = np.array([metric_of(part).ends(s) for s in found]).T
    reach = np.abs(np.nan_to_num(ends - mean))
    ax.errorbar(rates, mean, reach, fmt="o-", ms=3, lw=1.4, elinewidth=0.9, label="fixed rate")
    for i, name in enumerate(name for name in in_order(part["stepsize"]) if name != BASE):
        s, colour = summary(part.loc[part["stepsize"] == name, "outcome"]), f"C{i + 1}"
        ax.axhline(s.mean, color=colour, lw=1.4, label=name)
        if s.low == s.low:
            ax.axhspan(*metric_of(part).ends(s), color=colour, alpha=0.2, lw=0)
    ax.set_xscale("log")
    ax.set_xticks(rates, [plain(rate) for rate in rates])
    ax.xaxis.set_minor_locator(NullLocator())
