"""The figure of results against the measured size of the steps."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from gofau.report.best_rate import tune
from gofau.report.cells import BASELINE, in_order, rules
from gofau.report.metric import metric_of
from gofau.report.panels import (
    averaged,
    cut_marks,
    finish,
    grid,
    panels,
    per_cent,
    upright,
    what,
)
from gofau.report.same_step import measured, step_of
from gofau.report.statistics import summary
from gofau.report.style import RULE_DASHES, rule_colour
from gofau.report.types import Frame

BEYOND = 0.3
"""How far a panel goes beyond the worst result of the other rules, as a share of its range: the
additive rule's results at far longer steps, at chance level, would flatten the rest."""


def same_step_figure(runs: Frame, folder: Path) -> Figure | None:
    """Draw test results against the mean size of the steps: one row per data set and model, one
    column per optimizer, one line per rule, one point per learning rate. Where a rule's line lies
    on the additive one, the rule is no more than another learning rate. None where no steps were
    measured."""
    known = measured(runs)
    if known.empty:
        return None
    blocks, optimizers = panels(known, ["dataset", "model"]), in_order(known["optimizer"])
    figure, axes = grid(
        len(blocks), len(optimizers), width=2.7, height=2.3, sharex="row", sharey="row"
    )
    for row, (title, block) in zip(axes, blocks, strict=True):
        limits = _limits(block)
        for ax, optimizer in zip(row, optimizers, strict=True):
            ax.set_ylim(*limits)
            for rule in rules(block):
                mine = (block["rule"] == rule) & (block["optimizer"] == optimizer)
                if mine.any():
                    _line(ax, block[mine], rule)
            ax.set_xscale("log")
            ax.xaxis.set_minor_locator(NullLocator())
        metric = metric_of(block)
        if metric.fraction:
            per_cent(row[0])
        row[0].set_ylabel(upright(f"{title}\ntest {metric.title}{metric.unit}"))
    for ax, optimizer in zip(axes[0], optimizers, strict=True):
        ax.set_title(optimizer)
    for ax in axes[-1]:
        ax.set_xlabel("mean step (root mean square of Δθ)")
    caption = (
        f"{what(runs)}: {averaged(runs)}; one point per learning rate, large: the rule's best on"
        " the validation split. Arrow: goes on outside"
    )
    return finish(figure, axes, caption)


def _limits(block: Frame) -> tuple[float, float]:
    """The vertical limits: the intervals of the other rules and the best of the additive rule's,
    and somewhat beyond, on the side of worse results."""
    metric = metric_of(block)
    cells = block.groupby(["rule", "optimizer", "lr"])["outcome"]
    found = {key: summary(outcome) for key, outcome in cells}
    ends = {
        key: (s.mean, s.mean) if s.low != s.low else (s.low, s.high) for key, s in found.items()
    }
    others = [pair for (rule, *_), pair in ends.items() if rule != BASELINE] or [*ends.values()]
    low, high = min(pair[0] for pair in others), max(pair[1] for pair in others)
    if metric.higher:
        high = max(pair[1] for pair in ends.values())
    else:
        low = min(pair[0] for pair in ends.values())
    room = BEYOND * (high - low) + 1e-9
    return (low - room, high + 0.1 * room) if metric.higher else (low - 0.1 * room, high + room)


def _line(ax: Axes, part: Frame, rule: str) -> None:
    points = [group for _, group in part.groupby("lr")]
    x = np.array([step_of(group) for group in points])
    found = [summary(group["outcome"]) for group in points]
    mean = np.array([s.mean for s in found])
    low, high = np.array([metric_of(part).ends(s) for s in found]).T
    ends = np.abs(np.nan_to_num(np.stack([mean - low, high - mean])))
    colour = rule_colour(rule)
    ax.errorbar(
        x, mean, ends, fmt="o", ls=RULE_DASHES.get(rule, "-"), ms=2.5, lw=1.4, elinewidth=0.9,
        color=colour, label=rule,
    )  # fmt: skip
    best = tune(part, in_order(part["lr"])).lr
    at = [group["lr"].iat[0] == best for group in points]
    ax.plot(x[at], mean[at], "o", ms=7, color=colour, mec="white", mew=0.8, zorder=5)
    cut_marks(ax, x, low, high, colour)
