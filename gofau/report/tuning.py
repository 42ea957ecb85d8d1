"""Tuning curves: how good the best of k tried configurations is. A rule that needs less tuning is
near its best after fewer trials.

The trials of one arm on one task are treated as independent draws from its ranges, and are judged
on the validation split. `cells.read` says what a diverged run counts as.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy import special, stats

from gofau.report.arms import arm_names
from gofau.report.cells import in_order
from gofau.report.choice import HYPERPARAMETERS, SEARCH_SEED, arms
from gofau.report.metric import Metric, heading, metric_of
from gofau.report.panels import cut_marks, finish, grid, per_cent, upright, what
from gofau.report.render import Cell, Table, TableRow
from gofau.report.statistics import LEVEL
from gofau.report.style import RULE_DASHES, rule_colour
from gofau.report.types import Frame

TASK = ["dataset", "model"]
LOOKS = (1, 2, 5, 10, 25)
"""The numbers of trials k that the table shows."""


def expected_best(values: ArrayLike) -> np.ndarray:
    """The expected maximum of k draws without replacement from these n values, for k = 1 … n: the
    mean, over all subsets of size k, of their maximum.

        Σ_i C(i − 1, k − 1) / C(n, k) · v_(i),  v_(1) ≤ … ≤ v_(n)

    It is an unbiased estimate for k new trials. Sources: Tang et al., Showing your work doesn't
    always work, 2020 (arXiv 2004.13705); Dodge et al., Show your work, 2019.

    >>> expected_best([1.0, 2.0, 6.0])
    array([3.        , 4.66666667, 6.        ])
    """
    v = np.sort(np.asarray(values, dtype=float))
    i, k = np.arange(1, len(v) + 1), np.arange(1, len(v) + 1)[:, None]
    # C(i − 1, k − 1) / C(n, k), from logarithms: the binomial coefficients themselves overflow.
    logs = _log_choose(i - 1, k - 1) - _log_choose(np.full_like(i, len(v)), k)
    weights = np.where(i >= k, np.exp(np.where(i >= k, logs, 0.0)), 0.0)
    return weights @ v


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    m = np.maximum(n, k)  # where n < k the weight is 0 anyway
    return special.gammaln(m + 1) - special.gammaln(k + 1) - special.gammaln(m - k + 1)


def median_interval(values: ArrayLike, k: int) -> tuple[float, float]:
    """An exact interval for the median of the maximum of k new trials, for any distribution.

    This median is the 0.5^(1/k) quantile of one trial, and the binomial distribution says between
    which of the sorted values a quantile lies. An end that the values do not determine is infinite:
    with 25 trials, the upper end for k ≥ 5. Source: Lourie, Cho, He, Show your work with
    confidence, 2023 (arXiv 2311.09480), whose bands use the same idea.

    >>> median_interval(range(25), 1)
    (7.0, 17.0)
    """
    v = np.sort(np.asarray(values, dtype=float))
    n, q, tail = len(v), 0.5 ** (1 / k), (1 - LEVEL) / 2
    below = stats.binom.cdf(np.arange(n + 1), n, q)  # P(at most j of n lie below the quantile)
    low = int(np.searchsorted(below, tail, side="right"))  # the low-th value, counted from 1
    high = int(np.searchsorted(below, 1 - tail)) + 1
    return float(v[low - 1]) if low else -math.inf, float(v[high - 1]) if high <= n else math.inf


def searches(runs: Frame) -> Iterator[tuple[dict[str, str], Frame]]:
    """Yield the trials of every task and arm. The finalists' second runs are left out: they were
    selected for being good."""
    runs = runs.assign(**{"optimizer.name": arm_names(runs)})
    first = runs.loc[(runs["seed"] == SEARCH_SEED) & runs["choice"].notna(), _needed(runs)]
    for (dataset, model), task in first.groupby(TASK, sort=False):
        for optimizer, rule, part in arms(task):
            yield {"dataset": dataset, "model": model, "optimizer": optimizer, "rule": rule}, part


def _of(frame: Frame, task: Any) -> Frame:
    """The rows of one task, a data set and a model."""
    return frame[(frame[TASK] == list(task)).all(axis=1)]


def _needed(runs: Frame) -> list[str]:
    names = (*TASK, "optimizer.name", "rule.name", "choice", "metric", "higher", "title")
    return [*names, *(column for column in HYPERPARAMETERS if column in runs)]


def tuning_data(runs: Frame) -> Frame:
    """The tuning curves: one row per task, arm and k, with ``expected`` and the ends ``low`` and
    ``high`` of the median's interval (infinite where open)."""
    rows = []
    for key, part in searches(runs):
        metric = metric_of(part)
        values = metric.sign * part["choice"].to_numpy()
        for k, mean in enumerate(expected_best(values), start=1):
            ends = sorted(metric.sign * end for end in median_interval(values, k))
            row = {"k": k, "expected": metric.sign * mean, "low": ends[0], "high": ends[1]}
            rows.append(key | {"metric": metric.name} | row)
    return pd.DataFrame(rows)


def tuning(runs: Frame) -> Table:
    """The table of tuning: one row per task and arm, one column per number of trials."""
    data = tuning_data(runs)
    looks = [k for k in LOOKS if k in set(data["k"])]
    best = {
        key: metric_of(_of(runs, key[:2])).best(part["expected"])
        for key, part in data.groupby([*TASK, "k"])
    }
    rows = []
    for key, part in searches(runs):
        mine = data[(data[list(key)] == pd.Series(key)).all(axis=1)].set_index("k")
        metric = metric_of(part)
        cells = [Cell(text) for text in key.values()]
        for k in looks:
            cells.append(
                _look(mine.loc[k], metric, best[key["dataset"], key["model"], k])
                if k in mine.index
                else Cell("–")
            )
        rows.append(TableRow(tuple(cells), key))
    metric = metric_of(runs)
    return Table(
        "tuning",
        "The best of k tried configurations",
        f"Expected best {heading(runs, 'validation')}{metric.unit} of k of the arm's trials: the"
        " mean over all subsets of k trials (the unbiased estimate of Tang et al. 2020). In"
        " brackets: an exact 95 % interval, without assumptions on the distribution, for the"
        " median best of k new trials; an end that the trials do not determine is left open. The"
        " trials are the random part: draws from the ranges of the search, with one seed each."
        " They come from one low-discrepancy sequence, which makes the intervals wider than"
        " necessary. Every arm has the same number of trials, regardless of the number of its"
        " hyperparameters. Bold: the best of the task.",
        (*TASK, "optimizer", "rule", *(f"k = {k}" for k in looks)),
        tuple(rows),
        data,
    )


def _look(row: Any, metric: Metric, best: float) -> Cell:
    low, high = (metric.text(v) if math.isfinite(v) else "" for v in (row["low"], row["high"]))
    text = f"{metric.text(row['expected'])} [{low} … {high}]"
    return Cell(text, bool(row["expected"] == best), float(row["expected"]))


def tuning_figure(runs: Frame, folder: Path) -> Figure | None:
    """Draw the expected best against k: one row per task, one column per optimizer, one line per
    rule. The band is the interval of the median best; an open end is drawn at the best trial, and
    an end outside the panel is marked by an arrow."""
    data = tuning_data(runs)
    if data.empty:
        return None
    tasks = list(dict.fromkeys(zip(data["dataset"], data["model"], strict=True)))
    optimizers = in_order(data["optimizer"])
    figure, axes = grid(len(tasks), len(optimizers), sharex=True, sharey="row")
    first = axes[0][0]  # all panels share its horizontal axis, and each call reaches all of them
    first.set_xscale("log")
    # Before anything is drawn: otherwise every line would scale every panel anew.
    first.set_xlim(0.85, data["k"].max() / 0.85)
    for row, task in zip(axes, tasks, strict=True):
        here, metric = _of(data, task), metric_of(_of(runs, task))
        _zoom(row, here, metric)
        for ax, optimizer in zip(row, optimizers, strict=True):
            for rule, part in here[here["optimizer"] == optimizer].groupby("rule", sort=False):
                _line(ax, part, str(rule), metric)
        label = f"{', '.join(task)}\nvalidation {metric.title}{metric.unit}"
        row[0].set_ylabel(upright(label))
    first.set_xticks(LOOKS, [f"{k}" for k in LOOKS])
    first.set_xticks([], minor=True)
    for ax, optimizer in zip(axes[0], optimizers, strict=True):
        ax.set_title(optimizer)
    for ax in axes[-1]:
        ax.set_xlabel("trials k")
    caption = (
        "expected best of k trials (line); 95 % interval of the median best (band; where the trials"
        " determine no end, it ends at the best trial). Arrow: goes on outside"
    )
    return finish(figure, axes, f"{what(runs)}: {caption}")


def _line(ax: Axes, part: Frame, rule: str, metric: Metric) -> None:
    colour, style = rule_colour(rule), RULE_DASHES.get(rule, "-")
    ax.plot(part["k"], part["expected"], ls=style, color=colour, lw=1.4, label=rule)
    best = metric.best(part["expected"])
    low, high = (part[end].where(np.isfinite(part[end]), best) for end in ("low", "high"))
    ax.fill_between(part["k"], low, high, color=colour, alpha=0.1, lw=0)
    looks = part["k"].isin(LOOKS).to_numpy()
    cut_marks(ax, part["k"][looks], low[looks], high[looks], colour)


def _zoom(row: Any, here: Frame, metric: Metric) -> None:
    """Fit the vertical axis to the results from two trials on: one trial is often at chance."""
    late = here.loc[here["k"] >= 2, "expected"]
    margin = 0.05 * (late.max() - late.min()) + 1e-6
    for ax in row:
        ax.set_ylim(late.min() - margin, late.max() + margin)
        if metric.fraction:
            per_cent(ax)
