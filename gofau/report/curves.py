"""Learning curves: one column per optimizer, one line per rule, a 95 % band over the seeds."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gofau.report.cells import in_order, rules
from gofau.report.metric import Metric, metric_of
from gofau.report.panels import (
    arms_as_optimizers,
    averaged,
    cut_marks,
    finish,
    grid,
    log_ticks,
    panels,
    per_cent,
    rest,
    upright,
    what,
)
from gofau.report.reading import read_csv
from gofau.report.statistics import summary
from gofau.report.style import RULE_DASHES, rule_colour
from gofau.report.types import Frame

HEIGHT = 1.9
"""Of a panel, in inches."""
MOST_MARKS = 12
"""The most epochs at which a band that leaves the panel gets an arrow."""


def curves(runs: Frame, folder: Path) -> Figure | None:
    """Draw training loss and validation result against epochs; two rows per data set and model.

    A line is the mean over the seeds that reached the epoch, the band its 95 % Student-t interval.
    Where a band goes on outside the panel, an arrow at the edge says so. None where there are no
    curves.
    """
    runs = arms_as_optimizers(runs)
    epochs = _epochs(runs, folder)
    if epochs.empty:
        return None
    optimizers = in_order(epochs["optimizer"])
    blocks = panels(epochs, rest(runs, "optimizer"))
    figure, axes = grid(2 * len(blocks), len(optimizers), sharex=True, sharey="row", height=HEIGHT)
    for i, (title, block) in enumerate(blocks):
        metric = metric_of(block)
        shown = {
            "train/loss": "training loss",
            f"val/{metric.name}": f"validation {metric.title}{metric.unit}",
        }
        for column, optimizer in enumerate(optimizers):
            part = block[block["optimizer"] == optimizer]
            loss, result = axes[2 * i][column], axes[2 * i + 1][column]
            _scale(loss, result, block, metric)
            for ax, name in zip((loss, result), shown, strict=True):
                for rule in rules(part):
                    _line(ax, part[part["rule"] == rule], name, rule, metric)
        for ax, label in zip(axes[2 * i : 2 * i + 2, 0], shown.values(), strict=True):
            ax.set_ylabel(upright(f"{title}\n{label}" if title else label, HEIGHT))
    for column, optimizer in enumerate(optimizers):
        axes[0][column].set_title(optimizer)
        axes[-1][column].set_xlabel("epoch")
    caption = f"{what(runs)}: {averaged(runs)}. Arrow: goes on outside"
    return finish(figure, axes, caption)


def _epochs(runs: Frame, folder: Path) -> Frame:
    path = folder / "curves.csv.gz"
    if not path.exists():
        return pd.DataFrame()
    frame = read_csv(path, ("identity", "epoch"), may_be_empty=True)
    labels = ["identity", *(c for c in runs if c not in frame)]
    return frame.merge(runs[labels], on="identity", validate="many_to_one")


def _line(ax: Axes, part: Frame, column: str, rule: str, metric: Metric) -> None:
    points = [(epoch, summary(group[column])) for epoch, group in part.groupby("epoch")]
    points = [(epoch, s) for epoch, s in points if s.n]
    x = np.array([epoch for epoch, _ in points])
    mean = np.array([s.mean for _, s in points])
    half = np.nan_to_num([s.half for _, s in points])
    low, high = mean - half, mean + half
    if column.startswith("val/") and metric.fraction:  # Student's t knows nothing of 0 and 1
        low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    colour = rule_colour(rule)
    ax.plot(x, mean, linestyle=RULE_DASHES.get(rule, "-"), color=colour, lw=1.5, label=rule)
    ax.fill_between(x, np.maximum(low, 1e-12), high, color=colour, alpha=0.15, lw=0)
    if len(x):
        seen = np.unique(np.linspace(0, len(x) - 1, MOST_MARKS).round().astype(int))
        cut_marks(ax, x[seen], low[seen], high[seen], colour)


def _scale(loss: Axes, result: Axes, block: Frame, metric: Metric) -> None:
    """Set the axes: the loss is logarithmic, from the lowest to the highest mean; the results leave
    out the poor first fifth of the epochs, which would flatten the rest."""
    means = block.groupby(["optimizer", "rule", "epoch"])["train/loss"].mean().dropna()
    means = means[means > 0]
    loss.set_yscale("log")
    if len(means):
        loss.set_ylim(means.min() / 1.25, means.max() * 1.25)
        log_ticks(loss.yaxis)
    late = block.loc[block["epoch"] > block["epoch"].max() / 5, f"val/{metric.name}"].dropna()
    ends = (0.01, 1.0) if metric.higher else (0.0, 0.99)
    low, high = (late.quantile(end) for end in ends) if len(late) else (0.0, 1.0)
    margin = 0.05 * (high - low) + (0.005 if metric.fraction else 1e-9)
    if metric.fraction:
        result.set_ylim(max(0.0, low - margin), min(1.005, high + margin))
        per_cent(result)
    else:
        result.set_ylim(low - margin, high + margin)
