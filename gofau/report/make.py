"""Makes the tables, figures and pages of a results folder."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from gofau.report.acceleration_shown import acceleration
from gofau.report.alike import mixed, unlike
from gofau.report.cells import read
from gofau.report.choice import choice
from gofau.report.claims import claims, write_claims
from gofau.report.control import control
from gofau.report.curves import curves
from gofau.report.effects import effects
from gofau.report.effects_figure import effects_figure
from gofau.report.experiments import folders, report_of
from gofau.report.first_run import first_run
from gofau.report.heatmap import heatmap
from gofau.report.importance import importance, importance_figure
from gofau.report.page import write_page
from gofau.report.panels import what
from gofau.report.profile import profile
from gofau.report.published import published
from gofau.report.render import Table, save_table
from gofau.report.robustness_table import robustness
from gofau.report.sensitivity import over_horizon, over_init, over_lr
from gofau.report.speedup_figure import speedup
from gofau.report.stored import stored
from gofau.report.style import save_figure, styled
from gofau.report.tables import accuracy, comparison
from gofau.report.tuning import tuning, tuning_figure
from gofau.report.types import Frame
from gofau.report.untuned import untuned
from gofau.report.untuned_figure import untuned_figure

TABLES: Mapping[str, Callable[[Frame, Path], Table]] = {
    "accuracy": lambda runs, folder: accuracy(runs),
    "robustness": lambda runs, folder: robustness(runs),
    "comparison": lambda runs, folder: comparison(runs),
    "control": lambda runs, folder: control(runs),
    "choice": lambda runs, folder: choice(runs),
    "tuning": lambda runs, folder: tuning(runs),
    "importance": lambda runs, folder: importance(runs),
    "first_run": lambda runs, folder: first_run(runs),
    "published": published,
    "stored": lambda runs, folder: stored(runs),
    "acceleration": lambda runs, folder: acceleration(runs),
    "effects": lambda runs, folder: effects(runs),
    "untuned": lambda runs, folder: untuned(runs),
}
FIGURES: Mapping[str, Callable[[Frame, Path], Figure | None]] = {
    f.__name__: f for f in (curves, over_lr, over_init, over_horizon, heatmap, profile, speedup)
} | {
    "tuning": tuning_figure,
    "importance": importance_figure,
    "effects": effects_figure,
    "untuned": untuned_figure,
}
"""A figure is None if the records do not hold what it shows."""


def tables_of(folder: Path) -> list[Table]:
    """The tables of one experiment, as its declaration names them. Each note names the data, and
    says so if not all runs were made under the same conditions."""
    runs = read(folder)
    made = [TABLES[kind](runs, folder) for kind in report_of(folder.name).tables]
    data = " ".join(filter(None, [f"Trained: {what(runs)}.", unlike(runs), mixed(runs)]))
    return [replace(table, note=f"{data} {table.note}".strip()) for table in made]


def tables(results: Path, names: list[str]) -> list[Path]:
    """Write the claims and the tables of the named experiments (default: all); returns the
    files."""
    found = {folder: tables_of(folder) for folder in folders(results, names)}
    return _write(found, results)


def _write(
    found: Mapping[Path, list[Table]], results: Path, judged: list[Table] | None = None
) -> list[Path]:
    paths = [
        p for folder, made in found.items() for table in made for p in save_table(table, folder)
    ]
    return [*paths, write_claims(results, judged)]


def figures(results: Path, names: list[str]) -> list[Path]:
    """Draw the figures of the named experiments (default: all); returns the files."""
    return [path for folder in folders(results, names) for path in draw(folder)]


@styled()
def draw(folder: Path) -> list[Path]:
    """Draw the figures of one experiment from the records in its results folder."""
    runs, paths = read(folder), []
    for kind in report_of(folder.name).figures:
        figure = FIGURES[kind](runs, folder)
        if figure is not None:
            paths += save_figure(figure, folder / kind)
    return paths


def report(results: Path) -> list[Path]:
    """Write everything: tables, figures, claims, and the page ``report.html``; returns the
    files."""
    found = {folder: tables_of(folder) for folder in folders(results)}
    judged = [claims(results, smoke) for smoke in (False, True)]
    written = _write(found, results, judged)
    return [*written, *figures(results, []), write_page(results, found, judged)]
