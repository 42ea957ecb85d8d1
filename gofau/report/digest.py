"""What the page says of all experiments together: one row each, and one row per cell. The digest of
an experiment is what this takes from its runs, so that it can be made beside others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gofau.report.cells import AXES, counts, in_order
from gofau.report.experiments import REPORTS, about, report_of
from gofau.report.metric import metric_of
from gofau.report.render import Cell, Table, TableRow
from gofau.report.statistics import summary
from gofau.report.tables import tags
from gofau.report.types import Frame

ALWAYS = ("dataset", "model", "optimizer", "rule")
"""Axes with a column of their own in the table of cells even if they do not vary anywhere."""
Labels = dict[str, Any]


@dataclass(frozen=True)
class Digest:
    """What the page needs of an experiment's runs, besides its tables.

    ``row`` is that of the overview. ``cells`` are the labels of each cell with its results; a
    search has none, since its thousands of points have one run each and a table of their own.
    ``values`` are the different labels per axis, ``problems`` the pairs of a data set and a model.
    """

    row: TableRow
    cells: list[tuple[Labels, TableRow]]
    values: dict[str, list[Any]]
    problems: list[tuple[str, str]]


def digest(name: str, runs: Frame) -> Digest:
    """The digest of the experiment ``name``, of whose runs `cells.read` has made a frame."""
    numbers = [Cell(str(n), number=n) for n in (len(runs), *counts(runs))]
    return Digest(
        TableRow((Cell(name), Cell(about(name)), *numbers), tags(runs) | {"experiment": name}),
        [] if "tuning" in report_of(name).tables else list(_cells(name, runs)),
        {axis: in_order(runs[axis]) for axis in AXES},
        list(dict.fromkeys(zip(runs["dataset"], runs["model"], strict=True))),
    )


def _cells(name: str, runs: Frame) -> Iterator[tuple[Labels, TableRow]]:
    for key, part in runs.groupby(list(AXES), sort=False, dropna=False):
        labels: Labels = dict(zip(AXES, key, strict=True))
        s, counted, metric = summary(part["outcome"]), counts(part), metric_of(part)
        found = [
            Cell(metric.text(v), number=v) if counted.finished else Cell("missing")
            for v in (s.mean, s.half, s.sd)
        ]
        found += [Cell(metric.title), *(Cell(str(n), number=n) for n in counted)]
        about_it = tags(part) | {"rule": labels["rule"], "experiment": name}
        yield labels, TableRow(tuple(found), about_it)


def overview(digests: Mapping[Path, Digest]) -> Table:
    """The table of all experiments; those without records are shown as missing."""
    found = {folder.name for folder in digests}
    rows = [digest.row for digest in digests.values()]
    for name in (name for name in REPORTS if name not in found):
        texts = (name, about(name), "missing", "–", "–", "–", "–")
        rows.append(TableRow(tuple(Cell(t) for t in texts), {"experiment": name}))
    columns = ("experiment", "what", "runs", "finished", "diverged", "dead", "missing")
    return Table("overview", "Experiments", "", columns, tuple(rows), pd.DataFrame())


def all_cells(digests: Mapping[Path, Digest]) -> Table:
    """The table of all cells of all experiments, to sort and filter."""
    some = digests.values()
    axes = [a for a in AXES if a in ALWAYS or any(len(d.values[a]) > 1 for d in some)]
    rows = []
    for folder, digest in digests.items():
        for labels, row in digest.cells:
            named = (
                Cell(f"{v:g}", number=v) if isinstance(v, float) else Cell(str(v))
                for v in (labels[a] for a in axes)
            )
            rows.append(TableRow((Cell(folder.name), *named, *row.cells), row.tags))
    columns = ("experiment", *axes, "result", "±", "sd", "metric")
    columns = (*columns, "n", "diverged", "dead", "missing")
    note = (
        "Of all experiments but searches. Test result (accuracies in per cent): mean, half of the"
        " 95 % interval over the seeds (none for fewer than 5 seeds), standard deviation."
    )
    return Table("cells", "All cells", note, columns, tuple(rows), pd.DataFrame())
