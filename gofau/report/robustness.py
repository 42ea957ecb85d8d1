"""Robustness: how sensitive an arm is to the learning rate or to the initialisation.

Sensitivity is measured from the arm's own best place of the grid. So an arm does not count as more
or less robust because it is better everywhere, or because its best rates lie elsewhere. The best
place is the one with the best mean on the validation split; the loss of accuracy away from it is
measured on the test set.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from gofau.report.cells import BASELINE, CONTEXT, in_order, rules, varying
from gofau.report.metric import Metric, metric_of
from gofau.report.pairs import Comparison, bound_of, compare, differences, unlike_cells
from gofau.report.types import Frame

EDGE = "an arm's best is at an end of the grid"


@dataclass(frozen=True)
class Curve:
    """The results of one arm over the places of the axis, with all else fixed.

    Attributes:
        places: values of the axis; learning rates in increasing order.
        results: (places, seeds) on the test set.
        best: the index of the best place on the validation split.
        metric: of the results.
    """

    places: list[Any]
    results: Frame
    best: int
    metric: Metric

    @property
    def steps(self) -> int:
        """How many places lie on each side of the best one: the smaller of the two numbers."""
        return min(self.best, len(self.places) - 1 - self.best)

    def drop(self, reach: int | None = None) -> Frame:
        """Per seed: by how much the mean over the places is worse than the best place.

        Args:
            reach: the mean is over places at most this many steps from the best; None: over all.
        """
        first, last = 0, len(self.places)
        if reach is not None:
            first, last = self.best - reach, self.best + reach + 1
        near = self.results.iloc[first:last]
        return self.metric.sign * (self.results.iloc[self.best] - near.mean(skipna=False))

    def width(self) -> tuple[Frame, bool]:
        """Per seed: the width, in decades, of the unbroken range of rates around the best place
        whose results are near the best one (interpolated linearly in the logarithm of the rate).
        Also whether some seed's range reaches an end of the grid, so that it may be wider."""
        x = np.log10(np.asarray(self.places, dtype=float))
        found, is_open = {}, False
        for seed, y in (self.metric.sign * self.results).items():
            y = y.to_numpy(dtype=float)
            # From here up is better (see `sign`), so near means above this level.
            level = y[self.best] - self.metric.near(y[self.best])
            if not np.isfinite(y).all():
                found[seed] = np.nan
                continue
            low, low_open = _end(x[: self.best + 1][::-1], y[: self.best + 1][::-1], level)
            high, high_open = _end(x[self.best :], y[self.best :], level)
            found[seed], is_open = high - low, is_open or low_open or high_open
        return pd.Series(found, dtype=float), is_open


def _end(x: np.ndarray, y: np.ndarray, level: float) -> tuple[float, bool]:
    """The x at which y first falls below the level, and whether it never does (then the last x)."""
    below = np.flatnonzero(y < level - 1e-12)
    if not len(below):
        return float(x[-1]), True
    i = below[0]
    # np.interp needs increasing places: y falls from i − 1 to i.
    return float(np.interp(level, [y[i], y[i - 1]], [x[i], x[i - 1]])), False


def axis_of(runs: Frame) -> str:
    """The axis that robustness is measured over: the learning rate if it varies, else the
    initialisation."""
    return "lr" if "lr" in varying(runs) else "init"


def curve_of(part: Frame, axis: str) -> Curve:
    """The curve of runs of one arm that differ only in the axis and the seed."""
    metric, places = metric_of(part), in_order(part[axis])
    table = part.pivot_table(index=axis, columns="seed", values="outcome", dropna=False)
    means = part.groupby(axis)["choice"].mean().reindex(places)
    known = (metric.sign * means).fillna(-np.inf).to_numpy()
    return Curve(places, table.reindex(places), int(known.argmax()), metric)


def curves_of(runs: Frame) -> Iterator[tuple[dict[str, Any], Curve]]:
    """Yield the curves of the runs of one rule, each with the labels that it is for."""
    axis = axis_of(runs)
    others = [a for a in CONTEXT if a != axis]
    for key, part in runs.groupby(others, sort=False, dropna=False):
        yield dict(zip(others, key, strict=True)), curve_of(part, axis)


def less_drop(runs: Frame, rule: str) -> Comparison:
    """By how much less a rule drops from its own best than the additive rule from its own best.

    Over learning rates, both drops are over the same number of steps on each side: the largest that
    the grid has on both sides of both bests. If that is zero, the grid was too short, and the pairs
    are missing. Over initialisations, which have no order, both drops are over all of them. Seeds
    with a pair of runs made under different conditions are left out.
    """
    ours, theirs = (
        {tuple(key.values()): curve for key, curve in curves_of(runs[runs["rule"] == name])}
        if (runs["rule"] == name).any()
        else {}
        for name in (rule, BASELINE)
    )
    pairs = differences(runs, rule)
    unlike = unlike_cells(runs, pairs, axis_of(runs))
    bound = bound_of([mark for mark in "≤≥" if pairs[mark].any()])
    seeds = in_order(runs["seed"])
    rows, edges = [], False
    for key in {**theirs, **ours}:
        row = pd.Series(np.nan, seeds)
        if key in ours and key in theirs:
            reach = _reach(ours[key], theirs[key]) if axis_of(runs) == "lr" else None
            # A best at an end of the grid: the drop on its other side is unknown.
            edges |= reach == 0
            if reach != 0:
                row = theirs[key].drop(reach).sub(ours[key].drop(reach)).reindex(seeds)
        rows.append(row.mask([(key, seed) in unlike for seed in seeds]))
    count = {"conditions": len(unlike)} if unlike else {}
    found = compare(pd.DataFrame(rows))
    return replace(found, unlike=count, why=EDGE if edges else "", bound=bound)


def _reach(ours: Curve, theirs: Curve) -> int:
    return min(ours.steps, theirs.steps)


def arms(runs: Frame) -> Iterator[tuple[str, Frame]]:
    """Yield each rule and its runs."""
    for rule in rules(runs):
        part = runs[runs["rule"] == rule]
        if len(part):
            yield rule, part
