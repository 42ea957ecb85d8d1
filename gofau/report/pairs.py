"""Two rules compared over the same cells and seeds.

In every comparison the seeds are what is drawn at random, and the grid of cells (optimizers,
models, initialisations, rates) is fixed: it was chosen, and another one is another question. So a
seed's value is its mean over the whole grid, and the interval is Student's over the seeds' values.
Runs of one seed share initial weights and the order of the data in every cell; the mean over the
grid takes that in, whatever it is.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gofau.report.alike import MADE_WITH, differing
from gofau.report.cells import BASELINE, CONTEXT
from gofau.report.metric import metric_of
from gofau.report.population import error_of_images, widened
from gofau.report.statistics import Summary, summary
from gofau.report.types import Frame


@dataclass(frozen=True)
class Comparison:
    """A mean paired difference over a grid of cells, above 0 where the rule is better.

    Attributes:
        mean, sd, low, high: of the seeds' values, with the 95 % Student-t interval over ``seeds``.
        seeds: how many have a pair in every cell; the others have no say, as the mean over a part
            of the grid is another question.
        pairs, expected: how many pairs were measured, and how many there should be.
        cells: of the grid.
        unlike: pairs that were left out because their two runs were not made alike, by what
            differs.
        image_error: the standard error that the choice of test images makes; NaN where not known.
        why: why pairs are missing, where that is known.
        bound: ``≤`` where the true value may be lower, ``≥`` where it may be higher, ``≈`` where
            both.
    """

    mean: float
    sd: float
    low: float
    high: float
    seeds: int
    pairs: int
    expected: int
    cells: int
    unlike: Mapping[str, int] = field(default_factory=dict)
    image_error: float = math.nan
    why: str = ""
    bound: str = ""

    @property
    def missing(self) -> int:
        return self.expected - self.pairs

    @property
    def summary(self) -> Summary:
        return Summary(self.seeds, self.mean, self.sd, self.low, self.high)

    @property
    def beyond(self) -> tuple[float, float]:
        """The 95 % interval for other test images as well as other seeds; NaN where not known."""
        half = widened(self.summary.half, self.image_error)
        return self.mean - half, self.mean + half


def compare(differences: ArrayLike) -> Comparison:
    """The mean of paired differences, with an interval over the seeds.

    Args:
        differences: (cells, seeds), in any unit, above 0 where the rule is better; NaN where a pair
            is missing. Where no seed has all cells, the mean is that of all pairs, and there is no
            interval.

    Example:
        >>> c = compare([[0.1, 0.2, 0.3, 0.4, 0.5], [0.3, 0.4, 0.5, 0.6, 0.7]])
        >>> round(c.mean, 3), c.seeds, c.cells, c.low > 0
        (0.4, 5, 2, True)
    """
    d = np.atleast_2d(np.asarray(differences, dtype=float))
    there = np.isfinite(d)
    whole = there.all(axis=0)
    s = summary(d[:, whole].mean(axis=0) if whole.any() else [])
    pairs = int(there.sum())
    mean = s.mean if s.n else float(d[there].mean()) if pairs else math.nan
    return Comparison(mean, s.sd, s.low, s.high, s.n, pairs, d.size, len(d))


def paired(ours: Frame, theirs: Frame, keys: list[str], value: str = "outcome") -> Frame:
    """The runs of two arms, side by side, where their keys agree.

    Returns:
        one row per pair that was asked for of one of them: ``difference`` (above 0 where ours is
        better; NaN where one is missing or the two were not made alike), ``ours`` and ``theirs``,
        ``images``, ``≤`` and ``≥`` (ours, or theirs, is a diverged run whose outcome flatters it),
        and a flag for each thing in which the two were made unlike.
    """
    needed = [*keys, value, "images", "capped", *(column for column in MADE_WITH if column in ours)]
    a, b = (runs[needed].set_index(keys) for runs in (ours, theirs))
    both = a.index.union(b.index, sort=False)
    a, b = a.reindex(both), b.reindex(both)
    flags = differing(a, b)
    found = pd.DataFrame({"ours": a[value], "theirs": b[value], "images": a["images"]})
    found["≤"], found["≥"] = (runs["capped"].fillna(False).astype(bool) for runs in (a, b))
    sign = metric_of(ours if len(ours) else theirs).sign
    found["difference"] = (sign * (found["ours"] - found["theirs"])).mask(flags.any(axis=1))
    return found.join(flags)


def over_seeds(pairs: Frame) -> Comparison:
    """The comparison of the pairs of `paired`, whose last key is the seed."""
    kept = pairs.where(pairs["difference"].notna())
    lost = {word: int(count) for word, count in _flags(pairs).sum().items() if count}
    bound = bound_of([mark for mark in "≤≥" if pairs[mark].any()])
    error = error_of_images(kept["ours"], kept["theirs"], kept["images"])
    cells = pairs["difference"].unstack("seed")
    return replace(compare(cells), unlike=lost, image_error=error, bound=bound)


def bound_of(marks: Iterable[str]) -> str:
    """The mark of a mean of values of which some are bounds.

    >>> bound_of(["≤", "", "≤"]), bound_of(["≤", "≥"]), bound_of(["", ""])
    ('≤', '≈', '')
    """
    found = sorted(set(marks) - {""})
    return found[0] if len(found) == 1 else "≈" if found else ""


def _flags(pairs: Frame) -> Frame:
    return pairs.drop(columns=["ours", "theirs", "images", "difference", "≤", "≥"])


def differences(runs: Frame, rule: str, value: str = "outcome") -> Frame:
    """The pairs of a rule and the additive one over the same cells and seeds: see `paired`."""
    ours, theirs = (runs[runs["rule"] == name] for name in (rule, BASELINE))
    return paired(ours, theirs, ["cell", "seed"], value)


def told(comparisons: list[Comparison]) -> str:
    """A sentence that names the pairs that were left out as unlike, if there are any."""
    total: dict[Any, int] = {}
    for c in comparisons:
        for word, count in c.unlike.items():
            total[word] = max(total.get(word, 0), count)
    words = ", ".join(f"{word}: {count}" for word, count in total.items())
    return f"Pairs left out because their two runs were not made alike: {words}." if words else ""


def unlike_cells(runs: Frame, pairs: Frame, axis: str) -> set[tuple[Any, Any]]:
    """Cells (the labels of `CONTEXT` without the axis, as a tuple) and seeds for which some pair of
    the `differences` of these runs, anywhere along the axis, was not made alike."""
    marked = pairs.index[_flags(pairs).any(axis=1)]
    if marked.empty:
        return set()
    labels = runs.drop_duplicates("cell").set_index("cell")[[a for a in CONTEXT if a != axis]]
    return {(tuple(labels.loc[cell]), seed) for cell, seed in marked}
