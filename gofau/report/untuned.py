"""Step sizes that need no learning rate, beside the best of several fixed rates."""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gofau.report.best_rate import TASK, Tuned, tune
from gofau.report.cells import counts, in_order
from gofau.report.metric import Metric, metric_of
from gofau.report.render import Cell, Table, TableRow, number
from gofau.report.statistics import Summary, summary
from gofau.report.tables import CELL_NOTE, groups, labels, tags
from gofau.report.types import Frame

BASE = "base"
GOALS = {True: 0.95, False: 1.1}
"""Whether higher is better → the goal for the ratio of the results: at least, or at most."""


@dataclass(frozen=True)
class Untuned:
    """A step size on one problem with one optimizer, and the fixed rates there.

    Attributes:
        tried: the number of fixed rates.
        fixed: the best of them on the validation split; None if none was run.
        runs: the runs of the step size.
        ratio: its result divided by that of the best rate, per seed.
    """

    tried: int
    fixed: Tuned | None
    runs: Frame
    ratio: Summary

    @property
    def metric(self) -> Metric:
        return metric_of(self.runs)

    @property
    def met(self) -> bool | None:
        """Whether the mean ratio reaches the goal; None if there is none."""
        if math.isnan(self.ratio.mean):
            return None
        goal = GOALS[self.metric.higher]
        return self.ratio.mean >= goal if self.metric.higher else self.ratio.mean <= goal


def untuned(runs: Frame) -> Table:
    """The table of step sizes other than the base's: one row per problem, optimizer and step
    size."""
    rows, data = [], []
    for key, part in groups(runs, TASK):
        for name in (name for name in in_order(part["stepsize"]) if name != BASE):
            found = against_fixed(part, name)
            cells = (*labels(key), Cell(name), *_cells(found))
            rows.append(TableRow(cells, tags(part)))
            data.append(key | {"stepsize": name} | _numbers(found))
    return Table(
        "untuned",
        "Without tuning, beside the best fixed rate",
        "Each result is on the test set at the last epoch, of an accuracy in per cent:"
        f" {CELL_NOTE} The fixed rate is the best on the validation split, out of the number"
        " beside it, by its mean over the seeds. *: it is the first or last of the list, so a"
        " longer list might change it. Ratio: result of the step size divided by that of the best"
        " fixed rate, paired by seed, with its 95 % interval; goal: the mean is at least"
        f" {GOALS[True]:g} for an accuracy and at most {GOALS[False]:g} for a loss. Seconds: of"
        " training, the median over the runs; the fixed rates together cost that many times as"
        " much as there are of them.",
        (
            *(*TASK, "step size", "fixed rates", "best rate", "its result", "result", "ratio"),
            *("95 % interval", "goal", "seconds per run, fixed", "seconds per run"),
        ),
        tuple(rows),
        pd.DataFrame(data),
    )


def against_fixed(part: Frame, stepsize: str) -> Untuned:
    """Compare a step size with the best fixed rate, for one problem and optimizer."""
    rates = part[part["stepsize"] == BASE].dropna(subset=["outcome"])
    mine = part[part["stepsize"] == stepsize]
    if rates.empty:
        return Untuned(0, None, mine, summary([]))
    tried = in_order(rates["lr"])
    fixed = tune(rates, tried)
    both = [frame.set_index("seed")["outcome"] for frame in (mine, fixed.runs)]
    return Untuned(len(tried), fixed, mine, summary(both[0] / both[1]))


def _cells(found: Untuned) -> list[Cell]:
    metric, ratio = found.metric, found.ratio
    cells = [Cell(str(found.tried), number=found.tried)]
    fixed = found.fixed
    if fixed is None:
        cells += [Cell("missing"), Cell("missing")]
    else:
        cells.append(Cell(f"{fixed.lr:g}" + "*" * fixed.at_edge, number=fixed.lr))
        cells.append(_result(fixed.runs, metric))
    cells += [_result(found.runs, metric), Cell(number(ratio.mean, 3), number=ratio.mean)]
    known = ratio.low == ratio.low
    cells.append(Cell(f"{number(ratio.low, 3)} … {number(ratio.high, 3)}" if known else "–"))
    cells.append(Cell({True: "met", False: "missed", None: "missing"}[found.met]))
    both = (None if fixed is None else fixed.runs, found.runs)
    return [*cells, *(Cell(number(s, 1), number=s) for s in map(_seconds, both))]


def _result(runs: Frame, metric: Metric) -> Cell:
    s = summary(runs["outcome"])
    return Cell(metric.entry(s, counts(runs)), number=s.mean)


def _seconds(runs: Frame | None) -> float:
    """Of training, the median of the finished runs."""
    return math.nan if runs is None or "seconds" not in runs else float(runs["seconds"].median())


def _numbers(found: Untuned) -> dict[str, Any]:
    fixed, ratio = found.fixed, found.ratio
    of = {"fixed": None if fixed is None else fixed.runs, "own": found.runs}
    row: dict[str, Any] = {"metric": found.metric.name, "rates": found.tried}
    row |= {"rate": math.nan if fixed is None else fixed.lr}
    for name, runs in of.items():
        s = summary([] if runs is None else runs["outcome"])
        row |= {f"{name}/{k}": getattr(s, k) for k in ("n", "mean", "low", "high")}
        row[f"{name}/seconds"] = _seconds(runs)
    row |= {f"ratio/{k}": getattr(ratio, k) for k in ("n", "mean", "low", "high")}
    return row | {"goal": GOALS[found.metric.higher], "met": found.met}
