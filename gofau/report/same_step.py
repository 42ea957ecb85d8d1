"""Is it just the size of the step? Compares each rule with additive steps of the same measured mean
size."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gofau.report.best_rate import TASK, Tuned, tune
from gofau.report.cells import BASELINE, counts, in_order, rules
from gofau.report.metric import heading, metric_of
from gofau.report.pairs import Comparison, compare, over_seeds, paired, told
from gofau.report.render import Cell, Table, TableRow
from gofau.report.statistics import summary
from gofau.report.tables import RANDOM, difference_cells, groups, labels, tags
from gofau.report.types import Frame

SIZE = "update_rms"
"""The size of a run's steps: root mean square of Δθ over all weights, averaged over the measured
steps (`gofau.report.frames.gather`)."""

KEYS = ("rule", "lr", "seed", "outcome", "metric", "higher", "title")
"""The other columns that the comparison at equal steps needs."""


def measured(runs: Frame) -> Frame:
    """The finished runs whose steps were measured. A run that diverged may have no finite size."""
    if SIZE not in runs:
        return runs.iloc[:0].assign(**{SIZE: pd.Series(dtype=float)})
    known = runs[(runs[SIZE] > 0) & np.isfinite(runs[SIZE])]
    return known.dropna(subset=["outcome"])


def at_equal_steps(part: Frame, rule: str) -> Frame:
    """Outcomes minus those of the additive rule at the same mean step size (`SIZE`). The additive
    outcome is interpolated per seed between the additive runs with the next smaller and the next
    larger steps, linearly in the logarithm of the size.

    Args:
        part: the runs of one data set, model and optimizer.
        rule: the rule.

    Returns:
        one row per learning rate of the rule, one column per seed; above 0 where the rule is
        better; NaN where a size is unknown or outside the range of the additive runs.
    """
    part = part[[*KEYS, SIZE]] if SIZE in part else part  # rows of wide frames are slow
    sign = metric_of(part).sign
    found = (
        part[part["rule"] == rule].set_index(["lr", "seed"])["outcome"].unstack("seed") * math.nan
    )
    for seed, runs in measured(part).groupby("seed"):
        base = runs[runs["rule"] == BASELINE].sort_values(SIZE)
        mine = runs[runs["rule"] == rule]
        if len(base):
            known = (np.log(base[SIZE]), base["outcome"])
            # NaN outside the range: np.interp would repeat the outcome of the last rate.
            theirs = np.interp(np.log(mine[SIZE]), *known, left=math.nan, right=math.nan)
            found.loc[mine["lr"], seed] = sign * (mine["outcome"].to_numpy() - theirs)
    return found


def whole(found: Frame) -> Frame:
    """The rates at which every seed has a pair, so that every seed's mean is over the same rates;
    all of them if there is no such rate."""
    there = found.notna().all(axis=1)
    return found[there] if there.any() else found


@dataclass(frozen=True)
class Matched:
    """A rule against additive steps, for one data set, model and optimizer.

    Attributes:
        ours, theirs: each rule's best rate on the validation split, out of its own list.
        tuned: the pairs of their runs (`gofau.report.pairs.paired`).
        matched: the differences at equal steps, see `at_equal_steps`.
    """

    ours: Tuned
    theirs: Tuned
    tuned: Frame
    matched: Frame

    @property
    def at_best(self) -> Frame:
        """The differences at equal steps, at the rule's best rate: one row."""
        return self.matched.loc[[self.ours.lr]]


def match(part: Frame, rule: str) -> Matched | None:
    """Compare ``rule`` with the additive rule; None if either has no finished runs."""
    done = part.dropna(subset=["outcome", "choice"])
    both = [done[done["rule"] == name] for name in (rule, BASELINE)]
    if any(runs.empty for runs in both):
        return None
    ours, theirs = (tune(runs, in_order(runs["lr"])) for runs in both)
    tuned = paired(ours.runs, theirs.runs, [*TASK, "seed"])
    return Matched(ours, theirs, tuned, at_equal_steps(part, rule))


def same_step(runs: Frame) -> Table:
    """The table of equal steps: one row per optimizer and rule, and one per rule over all of
    them."""
    rows, data, unlike = [], [], []
    for key, part, found in _found(runs):
        tuned, best, whole_range = _three(found)
        unlike.append(tuned.unlike)
        mine, theirs = (_own(found, side) for side in ("ours", "theirs"))
        cells = (*labels(key), *mine, *theirs, *_differences(part, tuned, best, whole_range))
        rows.append(TableRow(cells, tags(part) | {"rule": key["rule"]}))
        data.append(key | _numbers(tuned, best, whole_range))
    metric = metric_of(runs)
    return Table(
        "same_step",
        "Beside additive steps of the same size",
        "Step: the root mean square of the change of all weights in one step, averaged over the"
        f" measured steps of a run; geometric mean over the seeds. {heading(runs).capitalize()}"
        f"{metric.unit}: mean ± half of the 95 % interval (standard deviation; n, of which ✕"
        " diverged and ⊘ dead). Each rule's own rate is the best on the validation split, out of"
        " its own list; *: the first or last of the list. Better by: difference paired by seed,"
        " above 0 where the rule is better, with its 95 % interval. Own rates: each rule at its"
        " own. Same step: the rule at its own rate, compared with additive steps of the same mean"
        " size; the additive result is interpolated, per seed, between the two nearest additive"
        " rates. All rates: the same, averaged over all rates of the rule. Pairs: measured, of"
        " expected, over all rates. In the last rows, a seed's value is the mean over all"
        f" optimizers and problems. {RANDOM} {told(unlike)}".rstrip(),
        (
            *(*TASK, "rule", "its rate", "its result", "its step"),
            *("additive rate", "additive result", "additive step"),
            *("own rates: better by", "95 % interval", "same step: better by", "95 % interval"),
            *("all rates, same step: better by", "95 % interval", "pairs"),
        ),
        tuple(rows),
        pd.DataFrame(data),
    )


def _found(runs: Frame) -> Iterator[tuple[dict[str, Any], Frame, list[Matched]]]:
    """Yield the rows' keys, runs and comparisons: one comparison, or those of all optimizers."""
    every: dict[str, list[Matched]] = {}
    for key, part in groups(runs, TASK):
        for rule in (rule for rule in rules(part) if rule != BASELINE):
            found = match(part, rule)
            if found is not None:
                every.setdefault(rule, []).append(found)
            yield key | {"rule": rule}, part, [found] if found else []
    for rule, found in every.items():
        if len(found) > 1 and runs["metric"].nunique() == 1:
            yield dict.fromkeys(TASK, "all") | {"rule": rule}, runs, found


def _three(found: list[Matched]) -> tuple[Comparison, Comparison, Comparison]:
    """Over the seeds: at own rates, at equal steps, and at equal steps over all rates."""
    if not found:
        nothing = compare([math.nan])
        return nothing, nothing, nothing
    tuned = over_seeds(pd.concat([f.tuned for f in found]))
    best = compare(pd.concat([f.at_best for f in found]))
    return tuned, best, _all_rates([f.matched for f in found])


def _all_rates(found: list[Frame]) -> Comparison:
    """Over all rates, with the number of pairs that there should be. A task's rates count as one
    cell, so that each task has the same weight."""
    kept = pd.concat([whole(frame).mean(axis=0, skipna=False).to_frame().T for frame in found])
    c = compare(kept)
    pairs = sum(int(frame.notna().sum().sum()) for frame in found)
    return Comparison(
        c.mean, c.sd, c.low, c.high, c.seeds, pairs, sum(frame.size for frame in found), c.cells
    )


def _own(found: list[Matched], side: str) -> list[Cell]:
    """A rule's own rate, its result there, and the size of its steps."""
    if len(found) != 1:
        return [Cell("–" if found else "missing")] * 3
    tuned: Tuned = getattr(found[0], side)
    s, metric = summary(tuned.runs["outcome"]), metric_of(tuned.runs)
    size = step_of(tuned.runs)
    return [
        Cell(f"{tuned.lr:.3g}" + "*" * tuned.at_edge, number=tuned.lr),
        Cell(metric.entry(s, counts(tuned.runs)), number=s.mean),
        Cell(f"{size:.2g}" if size == size else "–", number=size),
    ]


def step_of(runs: Frame) -> float:
    """The geometric mean of these runs' step sizes; NaN if none was measured."""
    sizes = measured(runs)[SIZE]
    return float(np.exp(np.log(sizes).mean())) if len(sizes) else math.nan


def _differences(part: Frame, *compared: Comparison) -> list[Cell]:
    metric = metric_of(part)
    cells = [cell for c in compared for cell in difference_cells(c, metric)]
    last = compared[-1]
    return [*cells, Cell(f"{last.pairs} of {last.expected}", number=last.pairs)]


def _numbers(*compared: Comparison) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, c in zip(("own", "same_step", "all_rates"), compared, strict=True):
        row |= {f"{name}/{k}": getattr(c, k) for k in ("mean", "low", "high", "seeds")}
    return row | {"pairs": compared[-1].pairs, "expected": compared[-1].expected}
