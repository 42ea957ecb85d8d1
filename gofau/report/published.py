"""The table of all arms, rivals included, with published results in a column of their own."""

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from gofau.report.cells import counts, in_order
from gofau.report.experiments import REDUCED, SMOKE
from gofau.report.metric import heading, metric_of
from gofau.report.render import Cell, Table, TableRow, number
from gofau.report.statistics import summary
from gofau.report.tables import CELL_NOTE, groups, labels
from gofau.report.types import Frame

QUOTED = Path(__file__).with_name("published.yaml")
ARM = ["optimizer", "rule", "stepsize"]


def quoted(name: str) -> dict[str, Any]:
    """What others published for an experiment; its twins have that of their experiment."""
    every = yaml.safe_load(QUOTED.read_text(encoding="utf-8"))
    return every[name.removeprefix(SMOKE).removeprefix(REDUCED)]


def published(runs: Frame, folder: Path) -> Table:
    """One row per arm, one column per model, and the published results where they are of the same
    data set and one of the models.

    Args:
        runs: the runs of the experiment, as `cells.read` returns them.
        folder: its results folder, whose name says which results to quote.
    """
    theirs = quoted(folder.name)
    beside = {theirs["dataset"]} == {*runs["dataset.name"]}
    models, rows, data = in_order(runs["model"]), [], []
    means = {model: _means(runs[runs["model"] == model]) for model in models}
    for key, part in groups(runs, ARM):
        cells, numbers = labels(key), dict(key)
        for model in models:
            mine = part[part["model"] == model]
            s, metric = summary(mine["outcome"]), metric_of(runs)
            bold = bool(s.n) and s.mean == metric.best(means[model])
            text = metric.entry(s, counts(mine)) if len(mine) else "–"
            cells.append(Cell(text, bold, s.mean))
            numbers |= {f"{model}.mean": s.mean, f"{model}.low": s.low, f"{model}.high": s.high}
        if beside:
            cell, value = _quote(theirs["values"], part)
            cells.append(cell)
            numbers |= value
        rows.append(TableRow(tuple(cells), {k: key[k] for k in ("optimizer", "rule")}))
        data.append(numbers)
    return Table(
        "published",
        "Every arm, beside published results" if beside else "Every arm, rivals included",
        f"{heading(runs).capitalize()} at the last epoch{metric_of(runs).unit}: {CELL_NOTE}"
        f" Bold: the best mean of the column. {_told(theirs, beside)}",
        (*ARM, *models, *[f"published [T], {theirs['model']}"] * beside),
        tuple(rows),
        pd.DataFrame(data),
    )


def _means(runs: Frame) -> Any:
    return runs.groupby(ARM)["outcome"].mean()


def _quote(values: list[dict[str, Any]], part: Frame) -> tuple[Cell, dict[str, Any]]:
    """The published value beside one arm, as it was published."""
    names = {axis: part[f"{axis}.name"].iloc[0] for axis in ARM}
    for value in values:
        if {axis: value.get(axis, "base") for axis in ARM} == names:
            mean, spread = value["mean"], value["spread"]
            text = f"{value['name']}: {number(mean)} ± {number(spread)}"
            return Cell(text, number=mean), {"published.mean": mean, "published.spread": spread}
    return Cell("–"), {}


def _told(theirs: dict[str, Any], beside: bool) -> str:
    rates = (
        "The rates of bases and rules were chosen on validation loss (results/defaults); those of"
        " the rivals, in configs/optimizer, were not tuned."
    )
    about = f"{theirs['model']} on {theirs['dataset']}"
    if not beside:
        return f"{rates} The published table is of {about}, so there is nothing to quote beside it."
    return (
        f"{rates} Published: final accuracy (%) of {about}, as published, by {theirs['source']}."
        f" Not given there: {theirs['not_given']}."
    )
