"""The table of robustness: how much each arm drops from its own best."""

from typing import Any

import numpy as np
import pandas as pd

from gofau.report.cells import BASELINE, counts, describe_place
from gofau.report.metric import Metric, heading, metric_of
from gofau.report.pairs import told
from gofau.report.render import Cell, Table, TableRow, number
from gofau.report.robustness import arms, axis_of, curves_of, less_drop
from gofau.report.statistics import Summary, near_best, summary
from gofau.report.tables import (
    JUDGED,
    RANDOM,
    difference_cells,
    groups,
    labels,
    numbers_of,
    tags,
    verdict_cells,
)
from gofau.report.types import Frame
from gofau.report.verdict import Question, decide

NAMES = {"lr": "learning rates", "init": "initialisations"}


def robustness(runs: Frame) -> Table:
    """The table of robustness: one row per optimizer and rule."""
    axes = ["dataset", "model", "optimizer"]
    found = [
        (key, part, rule, arm, less_drop(part, rule))
        for key, part in groups(runs, axes)
        for rule, arm in arms(part)
    ]
    asked = [(i, f) for i, f in enumerate(found) if f[2] != BASELINE]
    answers = decide(
        [Question(f[-1], metric_of(f[1]).margin(f[1]["outcome"].mean())) for _, f in asked]
    )
    verdicts = {i: answer for (i, _), answer in zip(asked, answers, strict=True)}
    rows, data = [], []
    for i, (key, _, rule, arm, c) in enumerate(found):
        metric = metric_of(arm)
        cells, numbers = _arm(arm)
        verdict = verdicts.get(i)
        if verdict is None:
            cells += [Cell("–")] * 5
        else:
            cells += [*difference_cells(c, metric), *verdict_cells(verdict, metric)]
            numbers |= {f"less_drop/{k}": v for k, v in numbers_of(c, verdict).items()}
        rows.append(TableRow((*labels(key), Cell(rule), *cells), tags(arm) | {"rule": rule}))
        data.append(key | {"rule": rule} | numbers)
    return Table(
        "robustness",
        f"Robustness over {NAMES[axis_of(runs)]}",
        _note(runs, [f[-1] for _, f in asked]),
        (
            *(*axes, "rule", "mean over the grid", "own best", "drop", "drop nearby"),
            *("width (decades)", "near own best", "worst", "diverged, dead", "cells"),
            *("drops less by", "95 % interval", "verdict", "its interval", "p (Holm)"),
        ),
        tuple(rows),
        pd.DataFrame(data),
    )


def _note(runs: Frame, comparisons: list[Any]) -> str:
    metric = metric_of(runs)
    return (
        f"{heading(runs).capitalize()}{metric.unit}. Mean over the grid: over all cells. Own best:"
        " at the place of the grid that is best on the validation split (*: at an end of the grid,"
        " so that a better one may lie outside). Drop: own best minus the mean over the grid. Drop"
        " nearby: own best minus the mean over the places at most the number of steps in brackets"
        " away, which is the largest number that the grid has on both sides. Width: the unbroken"
        " range of learning rates around the own best, in decades, within"
        f" {metric.text(metric.near(runs['outcome'].mean()))} of it (≥: it reaches an end of the"
        " grid). Near own best: the share of cells within that distance, in per cent. Worst: the"
        f" worst cell. ±: half of the 95 % interval. {RANDOM} Drops less by: the additive rule's"
        " drop minus this rule's, each from its own best over the same number of steps, paired by"
        " seed."
        f" {JUDGED} {told([c.unlike for c in comparisons])}".rstrip()
    )


def _arm(arm: Frame) -> tuple[list[Cell], dict[str, Any]]:
    """One arm's cells of the table, and the same numbers for the csv."""
    metric, axis = metric_of(arm), axis_of(arm)
    curves = [curve for _, curve in curves_of(arm)]
    means = pd.concat([curve.results.mean(axis=1) for curve in curves])
    grid = summary(pd.concat([c.results for c in curves]).mean(skipna=False))
    drop = summary(sum(c.drop() for c in curves) / len(curves))
    steps = min(c.steps for c in curves) if axis == "lr" else 0
    nearby = summary(sum(c.drop(steps) for c in curves) / len(curves) if steps else [])
    width, is_open = _width(curves) if axis == "lr" else (summary([]), False)
    near = float(np.mean([_near(c.results.mean(axis=1), metric, c.best) for c in curves]))
    done, lost, dead, missing = counted = counts(arm)
    best = "; ".join(
        f"{metric.text(c.results.iloc[c.best].mean())} at {describe_place(c.places[c.best])}"
        + "*" * (axis == "lr" and c.steps == 0)
        for c in curves
    )
    whole = grid if grid.n else Summary(0, float(means.to_numpy().mean()), *[np.nan] * 3)
    cells = [
        Cell(metric.entry(whole, counted), number=whole.mean),
        Cell(best),
        _spread(drop, metric),
        Cell(f"{_spread(nearby, metric).text} ({steps})" if steps else "–", number=nearby.mean),
        Cell(f"{'≥' * is_open}{_plain(width)}", number=width.mean),
        Cell(number(100 * near, 1), number=near),
        Cell(metric.text(metric.worst(means)), number=metric.worst(means)),
        Cell(f"{lost}, {dead} of {done}", number=lost + dead),
        Cell(f"{len(means)}", number=len(means)),
    ]
    numbers = {"metric": metric.name, "mean": whole.mean, "low": grid.low, "high": grid.high}
    numbers |= {"drop": drop.mean, "drop_low": drop.low, "drop_high": drop.high}
    numbers |= {"nearby": nearby.mean, "steps": steps, "width": width.mean, "width_open": is_open}
    numbers |= {"near_own_best": near, "worst": metric.worst(means), "cells": len(means)}
    numbers |= {"at_edge": axis == "lr" and steps == 0, "n": done, "diverged": lost, "dead": dead}
    return cells, numbers | {"missing": missing}


def _width(curves: list[Any]) -> tuple[Summary, bool]:
    widths = [c.width() for c in curves]
    total = sum(by_seed for by_seed, _ in widths) / len(widths)
    return summary(total), any(is_open for _, is_open in widths)


def _near(means: Frame, metric: Metric, best: int) -> float:
    top = metric.sign * means.iloc[best]
    return near_best(metric.sign * means, top, metric.near(means.iloc[best]))


def _spread(s: Summary, metric: Metric) -> Cell:
    half = f" ± {metric.text(s.half)}" if s.half == s.half else ""
    return Cell(metric.text(s.mean) + half if s.n else "–", number=s.mean)


def _plain(s: Summary) -> str:
    half = f" ± {number(s.half)}" if s.half == s.half else ""
    return number(s.mean) + half if s.n else "–"
