"""Writes one self-contained page of all results, which needs no network and no other file."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gofau.report.cells import BASELINE
from gofau.report.digest import Digest, all_cells, overview
from gofau.report.experiments import SMOKE, about, report_of
from gofau.report.introduction import INTRODUCTION
from gofau.report.prose import prose
from gofau.report.render import Table
from gofau.report.written import ABOUT, written

FILTERS = ("optimizer", "rule")
"""Axes with a filter of their own; a problem, a data set with a model, has one too."""


def write_page(
    results: Path,
    tables: Mapping[Path, list[Table]],
    digests: Mapping[Path, Digest],
    judged: list[Table],
) -> Path:
    """Write ``report.html``; returns its path.

    Args:
        results: the folder of results; the figures are read from its experiments' folders, and the
            pages of toys, measurements and benchmarks from theirs.
        tables: the tables of each experiment's folder.
        digests: what else the page says of each experiment.
        judged: the tables of claims.
    """
    options = _options(digests)
    problems = dict.fromkeys(pair for digest in digests.values() for pair in digest.problems)
    experiments = [_experiment(folder, made) for folder, made in tables.items()]
    others = [_other(folder, options) for folder in _others(results, tables)]
    page = {
        "claims": judged,
        "introduction": prose(INTRODUCTION),
        "overview": overview(digests),
        "cells": all_cells(digests),
        "experiments": experiments,
        "others": others,
        "options": options | {"experiment": [part["name"] for part in [*experiments, *others]]},
        "problems": list(problems),
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


def _options(digests: Mapping[Path, Digest]) -> dict[str, list[str]]:
    """The values of the filters."""
    return {
        axis: list(dict.fromkeys(value for d in digests.values() for value in d.values[axis]))
        for axis in FILTERS
    }


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
