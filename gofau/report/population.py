"""The uncertainty that comes from the size of the test set.

Intervals over seeds hold for the images of this test set. If it is small, another test set of the
same size would change every accuracy: on 359 images one image is 0.28 points.
"""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from gofau.report.statistics import LEVEL

MOST = 1_000_000
"""No test set is larger: a larger common denominator comes from rounding."""


def images(accuracies: ArrayLike) -> int | None:
    """The number of test images, estimated as the smallest common denominator of the accuracies.
    With few accuracies it may be only a divisor of the true number. None if there are no
    accuracies, or if rounding hides the number.

    >>> images([0.25, 1 / 3, 1.0])
    12
    """
    found = 1
    for value in np.unique(np.asarray(accuracies, dtype=float)):
        if np.isfinite(value):
            found = math.lcm(found, Fraction(float(value)).limit_denominator(100_000).denominator)
        if found > MOST:
            return None
    return found if found > 1 else None


def error_of_images(ours: ArrayLike, theirs: ArrayLike, count: ArrayLike) -> float:
    """The standard error of a mean difference of accuracies that comes from the choice of test
    images.

    For two accuracies p and q on the same N images it is √((p(1 − p) + q(1 − q)) / N), the sum of
    the binomial variances. The images are the same for all runs, so more seeds or cells do not
    shrink it, and the mean over the pairs is taken. It is an upper bound: both rules fail on the
    same hard images, which makes the difference less uncertain; the records do not say by how much.

    Args:
        ours, theirs, count: accuracies and numbers of images of the pairs; NaN are left out.

    >>> round(error_of_images([0.9], [0.9], [359]), 4)
    0.0224
    """
    p, q, n = (np.asarray(values, dtype=float) for values in (ours, theirs, count))
    errors = np.sqrt((p * (1 - p) + q * (1 - q)) / n)
    errors = errors[np.isfinite(errors)]
    return float(errors.mean()) if len(errors) else math.nan


def widened(half: float, error: float, level: float = LEVEL) -> float:
    """Half the width of the interval for other test images: √(half² + (z·error)²), since the two
    parts are independent.

    >>> round(widened(0.01, 0.01), 4)
    0.022
    """
    return math.hypot(half, float(stats.norm.ppf((1 + level) / 2)) * error)
