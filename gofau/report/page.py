"""Writes one self-contained page of all results, which needs no network and no other file."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gofau.report.cells import AXES, counts, in_order, read
from gofau.report.experiments import REPORTS, about, report_of
from gofau.report.metric import metric_of
from gofau.report.render import Cell, Table, TableRow
from gofau.report.statistics import summary
from gofau.report.tables import tags
from gofau.report.types import Frame

FILTERS = ("dataset", "optimizer", "rule")


def write_page(results: Path, tables: Mapping[Path, list[Table]], judged: list[Table]) -> Path:
    """Write ``report.html``; returns its path.

    Args:
        results: the folder of results; the figures are read from its experiments' folders.
        tables: the tables of each experiment's folder.
        judged: the tables of claims.
    """
    frames = {folder: read(folder) for folder in tables}
    options = {
        axis: list(dict.fromkeys(v for runs in frames.values() for v in in_order(runs[axis])))
        for axis in FILTERS
    }
    page = {
        "claims": judged,
        "overview": _overview(frames),
        "cells": _cells(frames),
        "experiments": [_experiment(folder, made) for folder, made in tables.items()],
        "options": options,
    }
    here = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=here,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    path = results / "report.html"
    path.write_text(environment.get_template("page.html.j2").render(page), encoding="utf-8")
    return path


def _experiment(folder: Path, tables: list[Table]) -> dict[str, Any]:
    report = report_of(folder.name)
    figures = {kind: _inline(folder / f"{kind}.svg") for kind in report.figures}
    return {
        "name": folder.name,
        "what": about(folder.name),
        "tables": tables,
        "figures": figures,
    }


def _inline(path: Path) -> str | None:
    """An image as a data URL; None where it is missing. SVG text in the page itself would not do:
    the ids and styles of two figures could conflict."""
    if not path.exists():
        return None
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()


def _overview(frames: dict[Path, Frame]) -> Table:
    """The table of all experiments; those without records are shown as missing."""
    rows = []
    found = {folder.name: runs for folder, runs in frames.items()}
    for name in [*found, *(n for n in REPORTS if n not in found)]:
        if name not in found:
            texts = (name, about(name), "missing", "–", "–", "–", "–")
            rows.append(TableRow(tuple(Cell(t) for t in texts)))
            continue
        numbers = [Cell(str(n), number=n) for n in (len(found[name]), *counts(found[name]))]
        rows.append(TableRow((Cell(name), Cell(about(name)), *numbers), tags(found[name])))
    columns = ("experiment", "what", "runs", "finished", "diverged", "dead", "missing")
    return Table("overview", "Experiments", "", columns, tuple(rows), pd.DataFrame())


def _cells(frames: dict[Path, Frame]) -> Table:
    """The table of all cells of all experiments, to sort and filter."""
    axes = [a for a in AXES if any(runs[a].nunique() > 1 for runs in frames.values())]
    axes = [a for a in AXES if a in {*axes, *FILTERS, "model"}]
    rows = []
    for folder, runs in frames.items():
        for key, part in runs.groupby(list(AXES), sort=False, dropna=False):
            label: dict[str, Any] = dict(zip(AXES, key, strict=True))
            s, counted, metric = summary(part["outcome"]), counts(part), metric_of(part)
            cells = [Cell(folder.name)]
            cells += [
                Cell(f"{v:g}", number=v) if isinstance(v, float) else Cell(str(v))
                for v in (label[a] for a in axes)
            ]
            cells += [
                Cell(metric.text(v), number=v) if counted.finished else Cell("missing")
                for v in (s.mean, s.half, s.sd)
            ]
            cells += [Cell(metric.title), *(Cell(str(n), number=n) for n in counted)]
            rows.append(TableRow(tuple(cells), tags(part) | {"rule": label["rule"]}))
    columns = ("experiment", *axes, "result", "±", "sd", "metric")
    columns = (*columns, "n", "diverged", "dead", "missing")
    note = (
        "Test result (accuracies in per cent): mean, half of the 95 % interval over the seeds (none"
        " for fewer than 5 seeds), standard deviation."
    )
    return Table("cells", "All cells", note, columns, tuple(rows), pd.DataFrame())
