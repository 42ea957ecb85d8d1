"""Two rules compared over the same seeds and cells."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gofau.report.statistics import LEVEL, summary, wilcoxon

RESAMPLES = 9999
FEW = 6
"""Differences of one cell (or seed) under which their bootstrap interval is far too short."""


@dataclass(frozen=True)
class Comparison:
    """A mean paired difference, its bootstrap interval and Wilcoxon's p; NaN where the data do not
    allow one. ``pairs`` of ``expected`` were measured, in ``cells`` cells over ``seeds`` seeds."""

    mean: float
    low: float
    high: float
    p: float
    pairs: int
    expected: int
    cells: int
    seeds: int


def compare(differences: ArrayLike) -> Comparison:
    """The mean of paired differences, with an interval that knows what is independent of what.

    Runs of one cell differ by their seed alone, and runs of one seed share initial weights and the
    order of the data in every cell. So neither the pairs, nor the cells, nor the seeds alone are
    independent draws: the table is crossed. The interval is that of the pigeonhole bootstrap, which
    draws rows and columns separately, with replacement, and takes the mean of what lies in both; it
    errs on the wide side. With one cell, or one seed, it is the ordinary percentile bootstrap over
    the other, or, of fewer than `FEW` differences, Student's t: the bootstrap of three numbers
    knows nothing beyond the three. Wilcoxon's test ranks the means of the cells, or, if there is
    one cell only, its seeds.

    Args:
        differences: (cells, seeds) of ours − theirs, in any unit; NaN where one of the two is
        missing.

    Example:
        >>> c = compare([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]])  # one cell, six seeds
        >>> round(c.mean, 3), c.pairs, c.low > 0, c.p
        (0.35, 6, True, 0.03125)

    Source: Owen, The pigeonhole bootstrap, 2007 (arXiv 0712.1111).
    """
    d = np.atleast_2d(np.asarray(differences, dtype=float))
    there = np.isfinite(d)
    rows, columns = there.any(axis=1), there.any(axis=0)
    kept, mask = d[rows][:, columns], there[rows][:, columns]
    pairs = int(there.sum())
    if not pairs:
        return Comparison(math.nan, math.nan, math.nan, math.nan, 0, d.size, 0, 0)
    means = np.nanmean(kept, axis=1)
    if 1 in kept.shape and kept.size < FEW:
        s = summary(kept)
        low, high = s.low, s.high
    else:
        low, high = _pigeonhole(np.where(mask, kept, 0.0), mask)
    p = wilcoxon(means if len(means) > 1 else kept)
    mean = float(kept[mask].mean())
    return Comparison(mean, low, high, p, pairs, d.size, kept.shape[0], kept.shape[1])


def _pigeonhole(values: NDArray[np.float64], mask: NDArray[np.bool_]) -> tuple[float, float]:
    """The percentile interval of the mean, rows and columns drawn separately; NaN of one pair."""
    cells, seeds = values.shape
    if cells * seeds == 1:
        return math.nan, math.nan
    rng = np.random.default_rng(0)
    row = rng.multinomial(cells, [1 / cells] * cells, size=RESAMPLES).astype(float)
    column = rng.multinomial(seeds, [1 / seeds] * seeds, size=RESAMPLES).astype(float)
    total = ((row @ values) * column).sum(axis=1)
    count = ((row @ mask.astype(float)) * column).sum(axis=1)
    drawn = total[count > 0] / count[count > 0]  # a hole in the table may be all that was drawn
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
