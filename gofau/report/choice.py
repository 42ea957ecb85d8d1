"""Chooses the default hyperparameters from a search: the best of the finalists.

A search has two stages. In the first, every arm (optimizer × rule) gets the same number of points
on each task, with one seed. Its best points, the finalists, are then run again with fresh seeds,
and only those runs decide. Both stages use the loss on the validation split, never the test set.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gofau.report.cells import in_order, rules
from gofau.report.render import Cell, Table, TableRow
from gofau.report.statistics import summary
from gofau.report.types import Frame

HYPERPARAMETERS = ("optimizer.lr", "rule.eta_in", "rule.gamma")
SYMBOLS = ("learning rate", "η_in", "γ")
SEARCH_SEED = 0
"""The seed of the first stage; all other seeds are fresh."""
EDGE = 0.05
"""A value this close to an end of its range, as a share of the range, is marked."""

Point = tuple[Any, ...]


@dataclass(frozen=True)
class Found:
    """The result of a search for one arm.

    Attributes:
        optimizer, rule: the arm.
        points: how many points were tried.
        finalists: the numbers (``trial``) of the points that were run again, the best first.
        values: column of `HYPERPARAMETERS` → value of the chosen point; empty without fresh runs.
        edges: the columns whose chosen value is at an end of the range that was tried.
        runs: the fresh runs of the chosen point.
    """

    optimizer: str
    rule: str
    points: int
    finalists: list[int]
    values: dict[str, float]
    edges: tuple[str, ...]
    runs: Frame


def loss(runs: Frame) -> pd.Series:
    """The final validation loss; infinite for a run that diverged, NaN where there is none."""
    values = pd.to_numeric(runs["val/loss"]) if "val/loss" in runs else np.nan
    found = pd.Series(values, runs.index).where(runs["state"] == "done")
    return found.mask(runs["state"] == "diverged", math.inf)


def arms(runs: Frame) -> Iterator[tuple[str, str, Frame]]:
    """Yield the optimizer, the rule and the runs of every arm."""
    for optimizer in in_order(runs["optimizer.name"]):
        for rule in rules(runs.assign(rule=runs["rule.name"])):
            part = runs[(runs["optimizer.name"] == optimizer) & (runs["rule.name"] == rule)]
            if len(part):
                yield optimizer, rule, part


def finalists(part: Frame, count: int = 5) -> list[int]:
    """The trials of one arm with the lowest mean rank over the tasks, in the first stage. Trials
    that diverged on any task come last; trials without a result on every task are excluded.

    >>> part = pd.DataFrame({"trial": [0, 1, 2], "seed": 0, "state": "done",
    ...                      "dataset.name": "digits", "val/loss": [0.3, 0.1, 0.2]})
    >>> finalists(part, 2)
    [1, 2]
    """
    first = part[part["seed"] == SEARCH_SEED]
    table = first.assign(loss=loss(first)).pivot_table(
        index="trial", columns="dataset.name", values="loss", aggfunc="mean", dropna=False
    )
    table = table.dropna()
    mean = table.rank().mean(axis=1).where(np.isfinite(table).all(axis=1), math.inf)
    return [int(trial) for trial in mean.sort_values(kind="stable").index[:count]]


def best(part: Frame, among: list[int]) -> int | None:
    """The trial with the lowest validation loss in its fresh runs: the mean over the seeds, divided
    by the lowest such mean of the task, then the geometric mean over the tasks. None if every
    trial lacks a seed."""
    fresh = part[(part["seed"] != SEARCH_SEED) & part["trial"].isin(among)]
    if fresh.empty:
        return None
    fresh = fresh.assign(loss=loss(fresh))
    whole = fresh.groupby("trial")["loss"].transform(lambda x: x.notna().all())
    means = fresh[whole].pivot_table(index="trial", columns="dataset.name", values="loss")
    if means.empty:
        return None
    # Divided by the task's lowest loss, so that no task dominates by the scale of its loss.
    ratios = np.log(means / means.min())
    return int(ratios.mean(axis=1).sort_values(kind="stable").index[0])


def choices(runs: Frame) -> Iterator[Found]:
    """The result of the search for every arm."""
    for optimizer, rule, part in arms(runs):
        last = finalists(part)
        chosen = best(part, last)
        has = [c for c in HYPERPARAMETERS if c in part and part[c].notna().any()]
        mine = part[part["trial"] == chosen]
        values = {c: float(mine[c].iloc[0]) for c in has} if len(mine) else {}
        edges = tuple(c for c in values if _at_an_end(part[c], values[c], c))
        fresh = mine[mine["seed"] != SEARCH_SEED]
        yield Found(optimizer, rule, part["trial"].nunique(), last, values, edges, fresh)


def unit(values: pd.Series, column: str) -> np.ndarray:
    """Scale the values of a hyperparameter to [0, 1] over the range that was tried: γ linearly, the
    others in their logarithm."""
    x = np.asarray(values, dtype=float)
    x = x if column == "rule.gamma" else np.log(x)
    return (x - x.min()) / (x.max() - x.min())


def _at_an_end(tried: pd.Series, value: float, column: str) -> bool:
    place = unit(pd.Series([tried.min(), tried.max(), value]), column)[2]
    return not EDGE < place < 1 - EDGE


def choice(runs: Frame) -> Table:
    """The table of the chosen hyperparameters: one row per arm."""
    tasks = in_order(runs["dataset.name"])
    rows, data = [], []
    for found in choices(runs):
        about = {"optimizer": found.optimizer, "rule": found.rule}
        cells = [Cell(found.optimizer), Cell(found.rule)]
        cells.append(Cell(str(found.points), number=found.points))
        numbers: dict[str, Any] = {"points": found.points}
        for column in HYPERPARAMETERS:
            value = found.values.get(column)
            mark = "*" * (column in found.edges)
            cells.append(Cell("–" if value is None else f"{value:g}{mark}", number=value))
            numbers[column] = value
        for task in tasks:
            mine = found.runs[found.runs["dataset.name"] == task]
            s = summary(loss(mine).replace(math.inf, math.nan))
            lost = int((mine["state"] == "diverged").sum())
            half = f" ± {s.half:.3f}" if s.half == s.half else ""
            text = f"{s.mean:.3f}{half} ({s.n}{f', {lost} ✕' if lost else ''})"
            cells.append(Cell(text if s.n else "–", number=s.mean))
            numbers |= {f"{task}.mean": s.mean, f"{task}.half": s.half, f"{task}.n": s.n}
        rows.append(TableRow(tuple(cells), about))
        data.append(about | numbers | {"edges": " ".join(found.edges)})
    return Table(
        "choice",
        "The default hyperparameters, and how they were chosen",
        "Points: how many were tried per task, with one seed, from one low-discrepancy sequence"
        " over the ranges in configs/search/wide.yaml. The five points with the best mean rank of"
        " the validation loss over the tasks were run again with five fresh seeds on each task."
        " Chosen: the point with the lowest geometric mean over the tasks of its mean loss there,"
        " divided by the lowest of the task. Loss: validation loss of the fresh runs (mean ± half"
        " of the 95 % Student-t interval; n; ✕: diverged). These points were chosen for a low"
        " loss, so their losses are too optimistic, and the table is no comparison of rules. *:"
        " within a twentieth of an end of the range that was tried, so that a better value may lie"
        " outside.",
        ("optimizer", "rule", "points", *SYMBOLS, *(f"loss on {task}" for task in tasks)),
        tuple(rows),
        pd.DataFrame(data),
    )
