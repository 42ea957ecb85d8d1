"""Performance profiles of the rules over all cells."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gofau.report.cells import CONTEXT, rules
from gofau.report.metric import metric_of
from gofau.report.panels import finish, grid, tally, what
from gofau.report.statistics import profiles
from gofau.report.style import RULE_DASHES, rule_colour
from gofau.report.types import Frame

FLOOR = 0.001
"""The smallest cost, so that no ratio divides by zero: a tenth of a point of an accuracy; for other
metrics this share of the median."""


def costs(runs: Frame) -> Frame:
    """The cost of each cell and rule, shape (cells, rules), as a mean over the seeds: the test
    error, 1 − accuracy, or the metric itself if lower is better. It is at least `FLOOR`, infinite
    if all seeds diverged, and NaN where there is no result."""
    metric = metric_of(runs)
    error = runs.groupby([*CONTEXT, "rule"], dropna=False)["outcome"].mean()
    error = 1 - error if metric.higher else error
    floor = FLOOR * (1.0 if metric.fraction else float(error.median()))
    lost = runs.groupby([*CONTEXT, "rule"], dropna=False)["state"].agg(
        lambda states: (states == "diverged").all()
    )
    table = error.clip(lower=floor).mask(lost, np.inf).unstack("rule")
    return table[[rule for rule in rules(runs) if rule in table]]


def profile(runs: Frame, folder: Path) -> Figure | None:
    """Draw for each rule the share of cells in which its test error (or loss) is at most τ times
    that of the cell's best rule. Further up and left is better; at τ = 1 it is the share of cells
    in which the rule is best."""
    table = costs(runs).dropna()
    if table.empty:
        return None
    worst = table.div(table.min(axis=1), axis=0).replace(np.inf, np.nan).max(axis=None)
    tau = np.geomspace(1, max(1.5, float(np.nan_to_num(worst, nan=1.5))) * 1.1, 400)
    figure, axes = grid(1, 1, width=4.6, height=2.8)
    ax = axes[0][0]
    for rule, share in zip(table, profiles(table.to_numpy(), tau), strict=True):
        style = RULE_DASHES.get(rule, "-")
        ax.step(
            tau, 100 * share, ls=style, where="post", color=rule_colour(rule), lw=1.6, label=rule
        )
    ax.set_xscale("log")
    ticks = [t for t in (1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500) if t <= tau[-1]]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_xticks([], minor=True)
    ax.set_ylim(-2, 102)
    metric = metric_of(runs)
    name = "test error" if metric.higher else f"test {metric.title}"
    ax.set_xlabel(f"{name}, times that of the cell's best rule (τ)")
    ax.set_ylabel("share of cells (%)")
    caption = f"{what(runs)}: {len(table)} cells, {tally(runs)}"
    return finish(figure, axes, caption)
