"""The tables of results and comparisons, from frames of runs."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from gofau.report.cells import BASELINE, CONTEXT, compared, counts, in_order, rules, varying
from gofau.report.metric import Metric, heading, metric_of, metrics
from gofau.report.pairs import Comparison, differences, over_seeds, told
from gofau.report.render import Cell, Table, TableRow, number
from gofau.report.statistics import MIN_SEEDS, summary
from gofau.report.types import Frame
from gofau.report.verdict import Question, Verdict, decide

RANDOM = (
    "Only the seeds are random; the grid of cells is fixed. Intervals are Student's over the"
    f" seeds; fewer than {MIN_SEEDS} seeds get none."
)
"""The note on intervals in every table of runs."""
JUDGED = (
    "Verdict: decided by the interval beside it, which is corrected for the number of rows by"
    " Holm's method (docs/verdicts.md). Undecided (n seeds): n seeds would decide it if mean and"
    " spread stayed the same."
)
"""The note on verdicts in every table that has them."""
CELL_NOTE = (
    "mean ± half of the 95 % interval (standard deviation; n, of which ✕ diverged and ⊘ dead: no"
    " better than guessing at the end; ?: missing). A diverged run counts at chance level; if the"
    f" metric has none, as the worst finished run of its problem. {RANDOM}"
)


def accuracy(runs: Frame) -> Table:
    """The table of results: one row per cell, one column per rule, the best mean of a row in bold.
    It shows the metric of the runs, which need not be accuracy."""
    axes = list(dict.fromkeys(["optimizer", *varying(runs)]))
    axes.sort(key=CONTEXT.index)
    names = rules(runs)
    rows, data = [], []
    for key, part in groups(runs, axes):
        found = {rule: part[part["rule"] == rule] for rule in names}
        means = pd.Series({rule: p["outcome"].mean() for rule, p in found.items()})
        best = metric_of(part).best(means)
        entries = []
        for rule, mine in found.items():
            cell, numbers = _entry(mine, best)
            entries.append(cell)
            data.append(key | {"rule": rule, "metric": metric_of(part).name} | numbers)
        rows.append(TableRow((*labels(key), *entries), tags(part)))
    several = len(metrics(runs)) > 1
    direction = "" if several else ", lower is better" * (not metric_of(runs).higher)
    return Table(
        "accuracy",
        heading(runs).capitalize(),
        f"{heading(runs).capitalize()} at the last epoch{metric_of(runs).unit}{direction}:"
        f" {CELL_NOTE} Bold: the best mean of the row.",
        (*axes, *names),
        tuple(rows),
        pd.DataFrame(data),
        {rule: rule for rule in names},
    )


def _entry(mine: Frame, best: float) -> tuple[Cell, dict[str, Any]]:
    """One entry and its numbers; ``best`` is the best mean of the row."""
    s, counted, metric = summary(mine["outcome"]), counts(mine), metric_of(mine)
    bold = bool(s.n) and s.mean == best and counted.diverged < counted.finished
    text = metric.entry(s, counted) if len(mine) else "–"
    numbers = {"n": counted.finished, **counted._asdict()}
    del numbers["finished"]
    numbers |= {"mean": s.mean, "sd": s.sd, "low": s.low, "high": s.high}
    return Cell(text, bold, s.mean), numbers


def comparison(runs: Frame) -> Table:
    """The table of comparisons: every rule against the additive rule over the same cells and seeds,
    for all runs, per optimizer and per model."""
    found = list(_compared(runs))
    answers = decide([Question(c, margin) for *_, c, margin in found])
    rows, data = [], []
    several = len(metrics(runs)) > 1
    for (over, rule, metric, c, _), verdict in zip(found, answers, strict=True):
        of = f"{over}, {metric.name}" if several and not over.startswith("metric") else over
        cells = [Cell(of), Cell(rule), *difference_cells(c, metric), *beyond_cells(c, metric)]
        cells += verdict_cells(verdict, metric)
        cells += [Cell(f"{c.cells} × {c.seeds}"), Cell(f"{c.pairs} of {c.expected}")]
        axis, _, value = over.partition(" ")
        rows.append(TableRow(tuple(cells), {"rule": rule, axis: value}))
        data.append({"over": over, "rule": rule, "metric": metric.name, **numbers_of(c, verdict)})
    left_out = told([c.unlike for *_, c, _ in found])
    return Table(
        "comparison",
        f"Each rule against {BASELINE}, paired",
        f"Better by: mean difference in {heading(runs)} over the same cells and seeds, above 0"
        f" where the rule is better{_unit(runs)}. {RANDOM} For other test images: the interval,"
        " widened by the most that another test set of this size could add; if it includes 0 and"
        " the first does not, the difference is shown for these test images only."
        f" {JUDGED} Pairs: measured, of expected. {left_out}".rstrip(),
        (
            *("over", "rule", "better by", "95 % interval", "for other test images", "verdict"),
            *("its interval", "p (Holm)", "cells × seeds", "pairs"),
        ),
        tuple(rows),
        pd.DataFrame(data),
    )


def _unit(runs: Frame) -> str:
    fractions = [metric.fraction for metric in metrics(runs)]
    return (
        ", in points" if all(fractions) else "" if not any(fractions) else ", accuracies in points"
    )


def _compared(runs: Frame) -> Iterator[tuple[str, str, Metric, Comparison, float]]:
    """Yield each comparison: what it is over, rule, metric, comparison, margin. Runs with different
    metrics are never compared."""
    for metric in metrics(runs):
        mine = runs[runs["metric"] == metric.name]
        named = f"metric {metric.name}" if len(metrics(runs)) > 1 else "all"
        parts, among = [(named, mine)], compared(mine)
        for axis in ("optimizer", "model"):
            values = in_order(mine[axis])
            if len(values) > 1:
                parts += [(f"{axis} {value}", mine[mine[axis] == value]) for value in values]
        for over, part in parts:
            for rule in (rule for rule in compared(part) if rule in among):
                pairs = differences(part, rule)
                margin = metric.margin(float(pairs["theirs"].mean()))
                yield over, rule, metric, over_seeds(pairs), margin


def difference_cells(c: Comparison, metric: Metric) -> list[Cell]:
    """The cells of a mean difference and its interval (in points for an accuracy)."""
    if not c.pairs:
        return [Cell("missing"), Cell("–")]
    mean = Cell(c.bound + metric.text(c.mean, sign=True), number=c.mean)
    return [mean, _interval(c.low, c.high, metric)]


def beyond_cells(c: Comparison, metric: Metric) -> list[Cell]:
    """The cell of the interval for other test images, if their number is known."""
    return [_interval(*c.beyond, metric)]


def verdict_cells(v: Verdict, metric: Metric) -> list[Cell]:
    """The cells of a verdict, the interval that decided it, and its p."""
    return [Cell(v.plain), _interval(v.low, v.high, metric), Cell(number(v.p, 4), number=v.p)]


def _interval(low: float, high: float, metric: Metric) -> Cell:
    if low != low:
        return Cell("–")
    return Cell(f"{metric.text(low, sign=True)} … {metric.text(high, sign=True)}", number=low)


def numbers_of(c: Comparison, v: Verdict) -> dict[str, Any]:
    """A comparison and its verdict as the columns of a csv."""
    kept = ("mean", "sd", "low", "high", "seeds", "pairs", "expected", "cells", "image_error")
    row: dict[str, Any] = {key: getattr(c, key) for key in kept}
    row |= {"bound": c.bound, "unlike": sum(c.unlike.values()), "verdict": v.word, "side": v.side}
    return row | {"p_holm": v.p, "p_same_holm": v.p_same, "low_holm": v.low, "high_holm": v.high}


def groups(runs: Frame, axes: list[str]) -> Iterator[tuple[dict[str, Any], Frame]]:
    """Group the runs by the values of ``axes``, in the order of the sweep; numbers are sorted."""
    order = {axis: in_order(runs[axis]) for axis in axes}
    found = list(runs.groupby(axes, sort=False, dropna=False))
    found.sort(key=lambda f: [order[a].index(v) for a, v in zip(axes, f[0], strict=True)])
    for key, part in found:
        yield dict(zip(axes, key, strict=True)), part


def labels(key: dict[str, Any]) -> list[Cell]:
    """The first cells of a row: the values of its axes."""
    return [
        Cell(f"{v:g}", number=v) if isinstance(v, float) else Cell(str(v)) for v in key.values()
    ]


def tags(part: Frame) -> dict[str, str]:
    """The data set, model and optimizer that all these runs share, for the page's filters."""
    common = {a: in_order(part[a]) for a in ("dataset", "model", "optimizer")}
    return {axis: values[0] for axis, values in common.items() if len(values) == 1}
