"""The statistics of one group of numbers: means, intervals, robustness, profiles. Pure
functions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEVEL = 0.95
"""Every interval's confidence, where no other is said."""
MIN_SEEDS = 5
"""The fewest numbers that get an interval: with fewer Student's t is so wide, and so much at the
mercy of the numbers' distribution, that it misleads more than it tells."""


@dataclass(frozen=True)
class Summary:
    """n numbers: their mean, standard deviation (ddof 1) and the interval's two ends. What n does
    not allow is NaN: the mean of none, the spread of one, the interval of fewer than
        `MIN_SEEDS`."""

    n: int
    mean: float
    sd: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half the interval's width: the number after ±."""
        return (self.high - self.low) / 2


def summary(values: ArrayLike) -> Summary:
    """Mean, standard deviation and 95 % Student-t interval: mean ± t(0.975, n − 1) · sd / √n.

    Args:
        values: numbers of any unit; NaN are missing, and left out of n.

    Example:
        >>> s = summary([1.0, 2.0, 3.0, 4.0, 5.0])
        >>> s.n, s.mean, round(s.sd, 3), round(s.half, 3)
        (5, 3.0, 1.581, 1.963)
        >>> summary([1.0, 2.0, 3.0, 4.0]).low  # four seeds are too few
        nan
    """
    x = _finite(values)
    n = len(x)
    mean = float(x.mean()) if n else math.nan
    sd = float(x.std(ddof=1)) if n > 1 else math.nan
    half = half_width(sd, n) if n >= MIN_SEEDS else math.nan
    return Summary(n, mean, sd, mean - half, mean + half)


def half_width(sd: float, n: int, level: float = LEVEL) -> float:
    """Half the width of Student's interval of a mean: t((1 + level) / 2, n − 1) · sd / √n.

    >>> round(half_width(1.0, 5), 4)
    1.2417
    """
    return float(stats.t.ppf((1 + level) / 2, n - 1)) * sd / math.sqrt(n)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction of a family of p-values; NaN (no test was possible) stays, and is no
    member.

    Sorted, the i-th of m (from 0) is multiplied by m − i, and never falls below the one before it.
    Source: Holm, A simple sequentially rejective multiple test procedure, 1979.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    corrected = [math.nan] * len(p)
    order = sorted((i for i, value in enumerate(p) if not math.isnan(value)), key=lambda i: p[i])
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p[i]))
        corrected[i] = largest
    return corrected


def near_best(values: ArrayLike, best: float, margin: float = 0.02) -> float:
    """The share of values that are no more than ``margin`` below ``best``; NaN of none.

    Example:
        >>> near_best([0.99, 0.98, 0.5, 0.2], best=0.99)
        0.5
    """
    x = _finite(values)
    # Rounding must not decide whether exactly two points below is within two points.
    return float(np.mean(x >= best - margin - 1e-12)) if len(x) else math.nan


def profiles(costs: ArrayLike, ratios: ArrayLike) -> NDArray[np.float64]:
    """Performance profiles: ρ_s(τ), the share of problems that solver s solves at no more than τ
    times the cost of the best solver there.

    Args:
        costs: (problems, solvers), ≥ 0; infinity or NaN where a solver failed. A problem that no
            solver solved counts against all.
        ratios: τ ≥ 1, increasing, (T,).

    Returns:
        ρ, (solvers, T), each row increasing in τ.

    Example:
        >>> profiles([[1.0, 2.0], [4.0, 1.0]], [1.0, 2.0, 4.0])
        array([[0.5, 0.5, 1. ],
               [0.5, 1. , 1. ]])

    Source: Dolan, Moré, Benchmarking optimization software with performance profiles, 2002.
    """
    cost = np.asarray(costs, dtype=float)
    cost = np.where(np.isnan(cost), np.inf, cost)
    best = cost.min(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(cost == best, 1.0, cost / best)
    ratio = np.where(np.isfinite(cost), ratio, np.inf)
    tau = np.asarray(ratios, dtype=float)
    return (ratio[:, :, None] <= tau * (1 + 1e-12)).mean(axis=0)


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(values, dtype=float).ravel()
    return x[np.isfinite(x)]
