"""Compares two rules in pairs, over the same cells and seeds.

In every comparison only the seeds are random. The grid of cells (optimizers, models,
initialisations, rates) is fixed: it was chosen, and another grid is another question. So a seed's
value is its mean over the whole grid, and the interval is Student's over the seeds' values. Runs of
one seed share initial weights and the order of the data in every cell, so they are correlated; the
mean over the grid accounts for any such correlation.
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
        seeds: the number of seeds with a pair in every cell. Other seeds are not used, since a mean
            over a part of the grid answers another question.
        pairs, expected: how many pairs were measured, and how many there should be.
        cells: the number of cells of the grid.
        unlike: what differs → the number of pairs that were left out because their two runs were
            made under different conditions.
        image_error: the standard error from the choice of test images; NaN if unknown.
        why: why pairs are missing, if known.
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
        """The 95 % interval for other test images as well as other seeds; NaN if unknown."""
        half = widened(self.summary.half, self.image_error)
        return self.mean - half, self.mean + half


def compare(differences: ArrayLike) -> Comparison:
    """The mean of paired differences, with an interval over the seeds.

    Args:
        differences: (cells, seeds), in any unit, above 0 where the rule is better; NaN where a pair
            is missing. If no seed has all cells, the mean is over all pairs, and there is no
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
    """Match the runs of two arms by their keys.

    Returns:
        one row per key that occurs in either arm: ``difference`` (above 0 where ours is better; NaN
        if one is missing or their conditions differ), ``ours`` and ``theirs``, ``images``, ``≤``
        and ``≥`` (ours, or theirs, is a diverged run that counts as better than it deserves, see
        ``capped`` in `cells.read`), and one flag per condition that may differ.
    """
    needed = [*keys, value, "images", "capped", *(column for column in MADE_WITH if column in ours)]
    a, b = (runs[needed].set_index(keys) for runs in (ours, theirs))
    both = a.index.union(b.index, sort=False)
    a, b = a.reindex(both), b.reindex(both)
    flags = differing(a, b)
    found = pd.DataFrame({"ours": a[value], "theirs": b[value], "images": a["images"]})
    found["≤"], found["≥"] = (runs["capped"].fillna(False).astype(bool) for runs in (a, b))
    # Either arm may be empty, but both have the same metric.
    sign = metric_of(ours if len(ours) else theirs).sign
    found["difference"] = (sign * (found["ours"] - found["theirs"])).mask(flags.any(axis=1))
    return found.join(flags)


def over_seeds(pairs: Frame) -> Comparison:
    """Compare the pairs of `paired` over the seeds; their last key must be the seed."""
    kept = pairs.where(pairs["difference"].notna())  # the pairs that the mean is over
    lost = {word: int(count) for word, count in _flags(pairs).sum().items() if count}
    bound = bound_of([mark for mark in "≤≥" if pairs[mark].any()])
    error = error_of_images(kept["ours"], kept["theirs"], kept["images"])
    cells = pairs["difference"].unstack("seed")
    return replace(compare(cells), unlike=lost, image_error=error, bound=bound)


def bound_of(marks: Iterable[str]) -> str:
    """The mark of a mean over values some of which are bounds.

    >>> bound_of(["≤", "", "≤"]), bound_of(["≤", "≥"]), bound_of(["", ""])
    ('≤', '≈', '')
    """
    found = sorted(set(marks) - {""})
    return found[0] if len(found) == 1 else "≈" if found else ""


def _flags(pairs: Frame) -> Frame:
    return pairs.drop(columns=["ours", "theirs", "images", "difference", "≤", "≥"])


def differences(runs: Frame, rule: str, value: str = "outcome") -> Frame:
    """Pair a rule with the additive rule over the same cells and seeds: see `paired`. Cells in
    which only one of them is swept are left out: nothing is missing there."""
    ours, theirs = (runs[runs["rule"] == name] for name in (rule, BASELINE))
    if len(ours):  # a rule that was not run at all is missing everywhere
        theirs = theirs[theirs["cell"].isin(ours["cell"])]
    if len(theirs):
        ours = ours[ours["cell"].isin(theirs["cell"])]
    return paired(ours, theirs, ["cell", "seed"], value)


def told(unlike: Iterable[Mapping[str, int]]) -> str:
    """A sentence on the pairs that were left out of comparisons (see `Comparison.unlike`), if there
    are any; else an empty string."""
    total: dict[str, int] = {}
    for left_out in unlike:
        for word, count in left_out.items():
            # The largest, not the sum: the same pair can occur in several comparisons.
            total[word] = max(total.get(word, 0), count)
    words = ", ".join(f"{word}: {count}" for word, count in total.items())
    if not words:
        return ""
    return f"Pairs left out because their two runs were made under different conditions: {words}."


def unlike_cells(runs: Frame, pairs: Frame, axis: str) -> set[tuple[Any, Any]]:
    """The (cell, seed) combinations for which some pair of the `differences`, anywhere along the
    axis, was made under different conditions. A cell is the tuple of the labels of `CONTEXT`
    without the axis."""
    marked = pairs.index[_flags(pairs).any(axis=1)]
    if marked.empty:
        return set()
    labels = runs.drop_duplicates("cell").set_index("cell")[[a for a in CONTEXT if a != axis]]
    return {(tuple(labels.loc[cell]), seed) for cell, seed in marked}
