"""Statistics as pure functions: means, intervals, corrected p-values, performance profiles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEVEL = 0.95
"""The confidence level of every interval, unless another one is given."""
MIN_SEEDS = 5
"""The fewest numbers that get an interval. With fewer, Student's interval is so wide, and depends
so much on the numbers' distribution, that it would mislead."""


@dataclass(frozen=True)
class Summary:
    """The number of values, their mean, standard deviation (ddof 1) and interval. Undefined values
    are NaN: the mean of no value, the standard deviation of one, the interval of fewer than
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
        values: numbers in any unit; NaN count as missing and are left out of n.

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
    """Holm's correction of a family of p-values. NaN (no test was possible) stays NaN and does not
    count as a member of the family.

    Of m sorted p-values, the i-th (from 0) is multiplied by m − i, and is at least as large as the
    corrected one before it.
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
    """The share of values that are at most ``margin`` below ``best``; NaN if there are none.

    Example:
        >>> near_best([0.99, 0.98, 0.5, 0.2], best=0.99)
        0.5
    """
    x = _finite(values)
    # Rounding must not decide whether a value exactly at the margin is within it.
    return float(np.mean(x >= best - margin - 1e-12)) if len(x) else math.nan


def profiles(costs: ArrayLike, ratios: ArrayLike) -> NDArray[np.float64]:
    """Performance profiles: ρ_s(τ), the share of problems that solver s solves at a cost of at most
    τ times that of the problem's best solver.

    Args:
        costs: (problems, solvers), ≥ 0; infinity or NaN where a solver failed. A problem that no
            solver solved counts as a failure of all.
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
