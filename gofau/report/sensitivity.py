"""Figures of the test result against the learning rate, the initialisation or the number of
epochs."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gofau.report.cells import in_order, rules
from gofau.report.metric import metric_of
from gofau.report.panels import (
    arms_as_optimizers,
    averaged,
    finish,
    grid,
    panels,
    per_cent,
    rest,
    upright,
    what,
)
from gofau.report.statistics import summary
from gofau.report.style import RULE_DASHES, rule_colour
from gofau.report.types import Frame

MOST_PLACES = 15
"""With more values than these the learning rate has a logarithmic axis, and the schemes of
initialisation a row each; fewer values are named one beside the other."""
HEIGHT = 2.3
"""Of a panel, in inches."""
NAMES = {"lr": "learning rate", "init": "initialisation", "horizon": "epochs of the schedule"}


def over_lr(runs: Frame, folder: Path) -> Figure | None:
    """Draw test results against the learning rate: one column per optimizer, one row per
    combination of what else varies."""
    return _over(runs, "lr")


def over_init(runs: Frame, folder: Path) -> Figure | None:
    """Draw test results against the initialisation, with the same panels."""
    return _over(runs, "init")


def over_horizon(runs: Frame, folder: Path) -> Figure | None:
    """Draw test results against the number of epochs, each a training with its complete schedule.
    None where there is only one number of epochs."""
    return _over(runs, "horizon") if runs["horizon"].nunique() > 1 else None


def _over(runs: Frame, axis: str) -> Figure | None:
    if runs["outcome"].notna().sum() == 0:
        return None
    runs = arms_as_optimizers(runs)
    others = rest(runs, "optimizer", axis)
    if axis == "init" and runs["init"].nunique() > MOST_PLACES:
        runs, others = _schemes_apart(runs), [*others, "scheme"]
    optimizers, places = in_order(runs["optimizer"]), in_order(runs[axis])
    blocks = panels(runs, others)
    width = max(3.0, 0.45 * len(places)) if axis == "init" else 3.0
    figure, axes = grid(
        len(blocks), len(optimizers), width=width, height=HEIGHT, sharex=True, sharey="row"
    )
    for row, (title, block) in zip(axes, blocks, strict=True):
        for ax, optimizer in zip(row, optimizers, strict=True):
            part = block[block["optimizer"] == optimizer]
            for i, rule in enumerate(rules(runs)):
                shift = i - (len(rules(runs)) - 1) / 2
                _line(ax, part[part["rule"] == rule], axis, places, rule, shift)
            if metric_of(block).fraction:
                per_cent(ax)
        metric = metric_of(block)
        label = (f"{title}\n" if title else "") + f"test {metric.title}{metric.unit}"
        row[0].set_ylabel(upright(label, HEIGHT))
    for column, optimizer in enumerate(optimizers):
        axes[0][column].set_title(optimizer)
        _name_places(axes[-1][column], axis, places)
    marks = " (✕: a seed diverged or was dead)" if _lost(runs).any() else ""
    caption = f"{what(runs)}: {averaged(runs)}{marks}"
    return finish(figure, axes, caption)


def _schemes_apart(runs: Frame) -> Frame:
    """The runs with the scheme in a column of its own, and its scale alone as the initialisation.

    >>> import pandas as pd
    >>> found = _schemes_apart(pd.DataFrame({"init": ["normal ×0.5", "orthogonal"]}))
    >>> found["scheme"].tolist(), found["init"].tolist()
    (['normal', 'orthogonal'], ['×0.5', '×1'])
    """
    parts = runs["init"].str.partition(" ×")
    return runs.assign(scheme=parts[0], init="×" + parts[2].replace({"": "1"}))


def _line(ax: Axes, part: Frame, axis: str, places: list, rule: str, shift: float) -> None:
    """Draw one rule's line. ``shift`` moves it sideways, so that equal intervals stay visible."""
    at = _positions(axis, places)
    points = [(at[value], group) for value, group in part.groupby(axis, sort=False)]
    points = sorted(((x, g) for x, g in points if g["outcome"].notna().any()), key=lambda p: p[0])
    if not points:
        return
    found = [summary(group["outcome"]) for _, group in points]
    x = np.array([x for x, _ in points])
    if not _is_scale(axis, places):
        x += (0.13 if axis == "init" else 0.05) * shift
    mean = np.array([s.mean for s in found])
    low, high = np.array([metric_of(part).ends(s) for s in found]).T
    ends = np.nan_to_num(np.stack([mean - low, high - mean]))
    style = "" if axis == "init" else RULE_DASHES.get(rule, "-")
    ax.errorbar(
        x, mean, np.abs(ends), fmt="o", ls=style, ms=3, lw=1.4, elinewidth=0.9,
        color=rule_colour(rule), label=rule,
    )  # fmt: skip
    lost = [bool(_lost(group).any()) for _, group in points]
    ax.plot(x[lost], mean[lost], "x", ms=7, mew=1.5, color=rule_colour(rule), zorder=3)


def _lost(runs: Frame) -> Frame:
    return (runs["state"] == "diverged") | runs["dead"]


def _is_scale(axis: str, places: list) -> bool:
    return axis == "lr" and len(places) > MOST_PLACES


def _positions(axis: str, places: list) -> dict[Any, float]:
    """Value → where it is drawn: at its logarithm, or one after the other."""
    if _is_scale(axis, places):
        return {value: math.log10(value) for value in places}
    return {value: float(i) for i, value in enumerate(places)}


def _name_places(ax: Axes, axis: str, places: list) -> None:
    ax.set_xlabel(NAMES[axis])
    if _is_scale(axis, places):
        ends = math.log10(places[0]), math.log10(places[-1])
        ax.set_xlim(ends[0] - 0.15, ends[1] + 0.15)
        powers = range(math.ceil(ends[0]), math.floor(ends[1]) + 1)
        ax.set_xticks(powers, [f"{10.0**k:g}" for k in powers], fontsize=8)
        return
    ax.set_xlim(-0.6, len(places) - 0.4)
    names = [f"{p:g}" if isinstance(p, float) else str(p) for p in places]
    crowded = axis == "init" or len(places) > 6
    ax.set_xticks(range(len(places)), names, rotation=40 if crowded else 0, fontsize=8)
    if crowded:
        for label in ax.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
