"""Accuracy, robustness and comparison: frames of runs → tables."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from gofau.report.cells import BASELINE, CONTEXT, counts, differences, in_order, rules, varying
from gofau.report.pairs import Comparison, compare
from gofau.report.render import Cell, Row, Table, number, percent
from gofau.report.statistics import holm, near_best, summary
from gofau.report.types import Frame

CELL_NOTE = (
    "Test accuracy at the last epoch in per cent: mean ± half of the 95 % Student-t interval"
    " (standard deviation; n, of which ✕ diverged). A diverged run counts at chance level; ? is"
    " missing."
)
GRID = ("init", "lr")
"""The axes that robustness is about."""


def accuracy(runs: Frame) -> Table:
    """One row a cell, one column a rule; the best mean of a row in bold."""
    axes = list(dict.fromkeys(["optimizer", *varying(runs)]))
    axes.sort(key=CONTEXT.index)
    names = rules(runs)
    rows, data = [], []
    for key, part in groups(runs, axes):
        cells = {rule: part[part["rule"] == rule] for rule in names}
        found = {rule: summary(p["outcome"]) for rule, p in cells.items()}
        best = max((s.mean for s in found.values() if s.n), default=float("nan"))
        entries = []
        for rule, s in found.items():
            done, lost, missing = counts(cells[rule])
            bold = bool(s.n) and s.mean == best and lost < done
            text = percent(s, (done, lost, missing)) if len(cells[rule]) else "–"
            entries.append(Cell(text, bold, s.mean))
            numbers = {"n": done, "diverged": lost, "missing": missing}
            numbers |= {"mean": s.mean, "sd": s.sd, "low": s.low, "high": s.high}
            data.append(key | {"rule": rule} | numbers)
        rows.append(Row((*labels(key), *entries), tags(part)))
    return Table(
        "accuracy",
        "Test accuracy",
        CELL_NOTE + " Bold: the highest mean of the row.",
        (*axes, *names),
        tuple(rows),
        pd.DataFrame(data),
        {rule: rule for rule in names},
    )


def robustness(runs: Frame) -> Table:
    """What is left of the accuracy over the whole grid of initialisations and learning rates."""
    axes = ["dataset", "model", "optimizer"]
    rows, data = [], []
    for key, group in groups(runs, axes):
        means = group.groupby([*CONTEXT, "rule"], dropna=False)["outcome"].mean()
        found = [
            (rule, _grid(part, means.max()))
            for rule in rules(group)
            if len(part := group[group["rule"] == rule])
        ]
        best = max((g["mean"] for _, g in found), default=float("nan"))
        for rule, g in found:
            shown = (
                Cell(g["text"], g["mean"] == best, g["mean"]),
                *(_percent(g[name]) for name in ("near_best", "worst", "divergence_rate")),
                Cell(f"{g['cells']}", number=g["cells"]),
            )
            rows.append(Row((*labels(key), Cell(rule), *shown), tags(group) | {"rule": rule}))
            data.append(key | {"rule": rule} | {k: v for k, v in g.items() if k != "text"})
    return Table(
        "robustness",
        "Robustness over the grid of initialisations and learning rates",
        "Mean over all cells of the grid (per seed; then as in the table of accuracies: ± half"
        " of the 95 % interval over seeds, n the runs). Near best: the share of cells whose mean"
        " is within 2 points of the best cell of any rule of that optimizer. Worst: the lowest"
        " cell. All in per cent. Bold: the highest mean.",
        (*axes, "rule", "mean over the grid", "near best", "worst", "diverged", "cells"),
        tuple(rows),
        pd.DataFrame(data),
    )


def _grid(part: Frame, best: float) -> dict[str, Any]:
    """One rule's runs over the grid. The interval is over seeds: the grid is fixed, not drawn."""
    cells = part.groupby(list(CONTEXT), dropna=False)["outcome"].mean()
    # A seed that misses a cell would be the mean of another grid: it has no say in the interval.
    whole = part.pivot_table(index="seed", columns=list(CONTEXT), values="outcome").dropna()
    s = summary(whole.mean(axis=1) if whole.shape[1] == len(cells) else [])
    done, lost, missing = counts(part)
    if s.n or not done:
        text = percent(s, (done, lost, missing))
    else:
        text = f"{number(100 * cells.mean())} ({done}, {missing}?)"
    return {
        "text": text,
        "mean": float(cells.mean()),
        "low": s.low,
        "high": s.high,
        "near_best": near_best(cells, best),
        "worst": float(cells.min()),
        "divergence_rate": lost / done if done else float("nan"),
        "cells": len(cells),
        "n": done,
        "missing": missing,
    }


def _percent(value: float) -> Cell:
    return Cell(number(100 * value, 1), number=value)


def comparison(runs: Frame) -> Table:
    """Every rule against the additive one over the same cells and seeds: all, and by optimizer and
    model."""
    found = list(_compared(runs))
    corrected = holm([c.p for *_, c in found])
    rows, data = [], []
    for (over, rule, c), p in zip(found, corrected, strict=True):
        cells = [Cell(over), Cell(rule), *difference_cells(c)]
        cells += [Cell(number(c.p, 4), number=c.p), Cell(number(p, 4), number=p)]
        cells += [Cell(f"{c.cells} × {c.seeds}"), Cell(f"{c.pairs} of {c.expected}")]
        axis, _, value = over.partition(" ")
        rows.append(Row(tuple(cells), {"rule": rule, axis: value}))
        data.append({"over": over, "rule": rule, **vars(c), "p_holm": p})
    return Table(
        "comparison",
        f"Each rule minus {BASELINE}, paired",
        "Mean difference in test accuracy, in points, over the same cells and seeds, with the 95 %"
        " interval of a bootstrap that draws cells and seeds separately (Student's t for fewer than"
        " six differences of one cell); p of Wilcoxon's"
        " signed-rank test over cells (over seeds where there is one cell), and with Holm's"
        " correction over this table. With fewer than 6 of them no p can be below 0.05. A"
        " diverged run counts at chance level.",
        ("over", "rule", "difference", "interval", "p", "p (Holm)", "cells × seeds", "pairs"),
        tuple(rows),
        pd.DataFrame(data),
    )


def _compared(runs: Frame) -> Iterator[tuple[str, str, Comparison]]:
    parts = [("all", runs)]
    for axis in ("optimizer", "model"):
        values = in_order(runs[axis])
        if len(values) > 1:
            parts += [(f"{axis} {value}", runs[runs[axis] == value]) for value in values]
    for over, part in parts:
        for rule in rules(part):
            if rule != BASELINE:
                yield over, rule, compare(differences(part, rule))


def difference_cells(c: Comparison) -> list[Cell]:
    """A mean difference and its interval, in points."""
    if not c.pairs:
        return [Cell("missing"), Cell("–")]
    interval = f"{number(100 * c.low, sign=True)} … {number(100 * c.high, sign=True)}"
    return [
        Cell(number(100 * c.mean, sign=True), number=c.mean),
        Cell(interval if c.low == c.low else "–", number=c.low),
    ]


def groups(runs: Frame, axes: list[str]) -> Iterator[tuple[dict[str, Any], Frame]]:
    """The runs by the values of ``axes``, in the order of the sweep, the learning rate by size."""
    order = {axis: in_order(runs[axis]) for axis in axes}
    found = list(runs.groupby(axes, sort=False, dropna=False))
    found.sort(key=lambda f: [order[a].index(v) for a, v in zip(axes, f[0], strict=True)])
    for key, part in found:
        yield dict(zip(axes, key, strict=True)), part


def labels(key: dict[str, Any]) -> list[Cell]:
    """The first columns of a row."""
    return [
        Cell(f"{v:g}", number=v) if isinstance(v, float) else Cell(str(v)) for v in key.values()
    ]


def tags(part: Frame) -> dict[str, str]:
    """What all these runs have in common, for the page's filters."""
    common = {a: in_order(part[a]) for a in ("dataset", "model", "optimizer")}
    return {axis: values[0] for axis, values in common.items() if len(values) == 1}
