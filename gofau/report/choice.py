"""Which point of a grid of hyperparameters is the best on the validation part."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from gofau.report.cells import counts, in_order, rules
from gofau.report.render import Cell, Row, Table, number, percent
from gofau.report.statistics import near_best, summary
from gofau.report.types import Frame

HYPERPARAMETERS = ("optimizer.lr", "rule.eta_in", "rule.eta_out", "rule.gamma")
SYMBOLS = ("learning rate", "η_in", "η_out", "γ")


def choices(runs: Frame) -> Iterator[dict[str, Any]]:
    """For each optimizer and rule the point with the highest mean validation accuracy over the
    seeds, a diverged run counting at chance level; of equals, the one of lowest validation loss.
    Points that miss a seed are not chosen.

    Yields:
        optimizer, rule, ``points`` tried, ``values`` of the best by column of `HYPERPARAMETERS`
        (those the rule has), ``edges``: those that are the first or last of a list of more than
        two, ``runs`` of the best, and ``near``: the share of points within 2 points of accuracy of
        it.
    """
    for optimizer in in_order(runs["optimizer.name"]):
        for rule in rules(runs.assign(rule=runs["rule.name"])):
            mine = (runs["optimizer.name"] == optimizer) & (runs["rule.name"] == rule)
            if mine.any():
                yield {"optimizer": optimizer, "rule": rule} | _best(runs[mine])


def _best(part: Frame) -> dict[str, Any]:
    has = [c for c in HYPERPARAMETERS if c in part and part[c].notna().any()]
    points = list(part.groupby(has, sort=True))
    found = {
        key: (group["choice"].mean(), -group["val/loss"].mean())
        for key, group in points
        if group["choice"].notna().sum() == part["seed"].nunique()
    }
    row: dict[str, Any] = {"points": len(points), "values": {}, "edges": (), "runs": part.iloc[:0]}
    if not found:
        return row | {"near": float("nan")}
    best = max(found, key=lambda key: found[key])
    values = {column: float(v) for column, v in zip(has, best, strict=True)}
    lists = {column: in_order(part[column]) for column in has}
    edges = tuple(c for c, v in lists.items() if len(v) > 2 and values[c] in (v[0], v[-1]))
    chosen = next(group for key, group in points if key == best)
    accuracies = pd.Series([accuracy for accuracy, _ in found.values()])
    near = near_best(accuracies, found[best][0])
    return row | {"values": values, "edges": edges, "runs": chosen, "near": near}


def choice(runs: Frame) -> Table:
    """One row an optimizer and rule."""
    rows, data = [], []
    for found in choices(runs):
        s = summary(found["runs"]["choice"])
        values = [found["values"].get(column) for column in HYPERPARAMETERS]
        marks = ["*" * (column in found["edges"]) for column in HYPERPARAMETERS]
        cells = [Cell(found["optimizer"]), Cell(found["rule"])]
        cells.append(Cell(str(found["points"]), number=found["points"]))
        for value, mark in zip(values, marks, strict=True):
            cells.append(Cell("–" if value is None else f"{value:g}{mark}", number=value))
        cells.append(Cell(percent(s, counts(found["runs"])), number=s.mean))
        cells.append(Cell(number(100 * found["near"], 0), number=found["near"]))
        about = {"optimizer": found["optimizer"], "rule": found["rule"]}
        rows.append(Row(tuple(cells), about))
        numbers = dict(zip(HYPERPARAMETERS, values, strict=True))
        more = {"edges": " ".join(found["edges"]), "mean": s.mean, "sd": s.sd, "n": s.n}
        data.append(about | {"points": found["points"]} | numbers | more | {"near": found["near"]})
    return Table(
        "choice",
        "The best point of each grid",
        "Chosen by the mean accuracy on the validation part at the last epoch (in per cent: mean ±"
        " half of the 95 % interval; standard deviation; n, of which ✕ diverged, at chance level);"
        " of equals, by the validation loss. That accuracy is the highest of so many, so it"
        " flatters: it is for choosing, not for comparing rules. *: the first or the last value of"
        " its list, where that has more than two. Near best: the share of the points, in per cent,"
        " within 2 points of accuracy of the best.",
        ("optimizer", "rule", "points", *SYMBOLS, "validation accuracy", "near best"),
        tuple(rows),
        pd.DataFrame(data),
    )
