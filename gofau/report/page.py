"""Writes one self-contained page of all results, which needs no network and no other file."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gofau.report.cells import AXES, BASELINE, counts, in_order, read
from gofau.report.experiments import REPORTS, SMOKE, about, report_of
from gofau.report.introduction import INTRODUCTION
from gofau.report.metric import metric_of
from gofau.report.prose import prose
from gofau.report.render import Cell, Table, TableRow
from gofau.report.statistics import summary
from gofau.report.tables import tags
from gofau.report.types import Frame
from gofau.report.written import ABOUT, written

FILTERS = ("optimizer", "rule")
"""Axes with a filter of their own; a problem, a data set with a model, has one too."""


def write_page(results: Path, tables: Mapping[Path, list[Table]], judged: list[Table]) -> Path:
    """Write ``report.html``; returns its path.

    Args:
        results: the folder of results; the figures are read from its experiments' folders, and the
            pages of toys, measurements and benchmarks from theirs.
        tables: the tables of each experiment's folder.
        judged: the tables of claims.
    """
    frames = {folder: read(folder) for folder in tables}
    options = _options(frames)
    experiments = [_experiment(folder, made) for folder, made in tables.items()]
    others = [_other(folder, options) for folder in _others(results, tables)]
    page = {
        "claims": judged,
        "introduction": prose(INTRODUCTION),
        "overview": _overview(frames),
        "cells": _cells(frames),
        "experiments": experiments,
        "others": others,
        "options": options | {"experiment": [part["name"] for part in [*experiments, *others]]},
        "problems": _problems(frames),
        "baseline": BASELINE,
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


def _options(frames: Mapping[Path, Frame]) -> dict[str, list[str]]:
    """The values of the filters."""
    return {
        axis: list(dict.fromkeys(v for runs in frames.values() for v in in_order(runs[axis])))
        for axis in FILTERS
    }


def _problems(frames: Mapping[Path, Frame]) -> list[tuple[str, str]]:
    """The pairs of a data set and a model."""
    pairs = (zip(runs["dataset"], runs["model"], strict=True) for runs in frames.values())
    return list(dict.fromkeys(pair for some in pairs for pair in some))


def _experiment(folder: Path, tables: list[Table]) -> dict[str, Any]:
    report = report_of(folder.name)
    figures = {kind: _inline(folder / f"{kind}.svg") for kind in report.figures}
    return _section(folder, about(folder.name), tables, figures)


def _others(results: Path, tables: Mapping[Path, list[Table]]) -> list[Path]:
    """The folders that hold Markdown pages and no records of runs: benchmarks last."""
    found = {path.parent for path in results.glob("*/*.md")} - set(tables)
    return sorted(found, key=lambda folder: (folder.name.startswith("bench"), folder.name))


def _other(folder: Path, options: Mapping[str, list[str]]) -> dict[str, Any]:
    figures = {path.stem: _inline(path) for path in sorted(folder.glob("*.svg"))}
    what = ABOUT.get(folder.name.removeprefix(SMOKE), folder.name)
    what += ": a short twin" * folder.name.startswith(SMOKE)
    return _section(folder, what, written(folder, options), figures)


def _section(
    folder: Path, what: str, tables: list[Table], figures: Mapping[str, str | None]
) -> dict[str, Any]:
    """``files``: what programs can read, as links beside the page."""
    files = sorted(p.name for p in folder.iterdir() if p.name.endswith((".csv", ".csv.gz")))
    return {
        "name": folder.name,
        "what": what,
        "tables": tables,
        "figures": figures,
        "files": files,
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
            rows.append(TableRow(tuple(Cell(t) for t in texts), {"experiment": name}))
            continue
        numbers = [Cell(str(n), number=n) for n in (len(found[name]), *counts(found[name]))]
        rows.append(
            TableRow(
                (Cell(name), Cell(about(name)), *numbers), tags(found[name]) | {"experiment": name}
            )
        )
    columns = ("experiment", "what", "runs", "finished", "diverged", "dead", "missing")
    return Table("overview", "Experiments", "", columns, tuple(rows), pd.DataFrame())


def _cells(frames: dict[Path, Frame]) -> Table:
    """The table of all cells of all experiments, to sort and filter."""
    axes = [a for a in AXES if any(runs[a].nunique() > 1 for runs in frames.values())]
    axes = [a for a in AXES if a in {*axes, *FILTERS, "dataset", "model"}]
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
            rows.append(
                TableRow(
                    tuple(cells), tags(part) | {"rule": label["rule"], "experiment": folder.name}
                )
            )
    columns = ("experiment", *axes, "result", "±", "sd", "metric")
    columns = (*columns, "n", "diverged", "dead", "missing")
    note = (
        "Test result (accuracies in per cent): mean, half of the 95 % interval over the seeds (none"
        " for fewer than 5 seeds), standard deviation."
    )
    return Table("cells", "All cells", note, columns, tuple(rows), pd.DataFrame())
