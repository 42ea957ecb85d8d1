"""Makes the tables, figures and pages of a results folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from gofau.report.acceleration_shown import acceleration
from gofau.report.alike import mixed, unlike
from gofau.report.cells import read
from gofau.report.choice import choice
from gofau.report.claims import judged, write_claims
from gofau.report.control import control
from gofau.report.curves import curves
from gofau.report.digest import Digest, digest
from gofau.report.effects import effects
from gofau.report.effects_figure import effects_figure
from gofau.report.experiments import folders, report_of
from gofau.report.first_run import first_run
from gofau.report.heatmap import heatmap
from gofau.report.importance import importance, importance_figure
from gofau.report.measure import folder as measured
from gofau.report.page import write_page
from gofau.report.panels import what
from gofau.report.profile import profile
from gofau.report.published import published
from gofau.report.render import Table, save_table
from gofau.report.robustness_table import robustness
from gofau.report.same_step import same_step
from gofau.report.same_step_figure import same_step_figure
from gofau.report.sensitivity import over_horizon, over_init, over_lr
from gofau.report.side_by_side import side_by_side
from gofau.report.speedup_figure import speedup
from gofau.report.stored import stored
from gofau.report.style import save_figure, styled
from gofau.report.tables import accuracy, comparison
from gofau.report.toy import folder as toy
from gofau.report.tuning import tuning, tuning_figure
from gofau.report.types import Frame
from gofau.report.untuned import untuned
from gofau.report.untuned_figure import untuned_figure

TABLES: Mapping[str, Callable[[Frame, Path], Table]] = {
    "accuracy": lambda runs, folder: accuracy(runs),
    "robustness": lambda runs, folder: robustness(runs),
    "comparison": lambda runs, folder: comparison(runs),
    "control": lambda runs, folder: control(runs),
    "same_step": lambda runs, folder: same_step(runs),
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
    "same_step": same_step_figure,
}
"""A figure is None if the records do not hold what it shows."""


def tables_of(folder: Path, read_runs: Frame | None = None) -> list[Table]:
    """The tables of one experiment, as its declaration names them. Each note names the data, and
    says so if not all runs were made under the same conditions.

    Args:
        folder: its results folder.
        read_runs: the folder's runs, if `read` was called already.
    """
    runs = read(folder) if read_runs is None else read_runs
    made = [TABLES[kind](runs, folder) for kind in report_of(folder.name).tables]
    data = " ".join(filter(None, [f"Trained: {what(runs)}.", unlike(runs), mixed(runs)]))
    return [replace(table, note=f"{data} {table.note}".strip()) for table in made]


def tables(results: Path, names: list[str], processes: int | None = 1) -> list[Path]:
    """Write the claims and the tables of the named experiments (default: all); returns the
    files.

    Args:
        results: the folder of results.
        names: folders in it.
        processes: how many share the work, see `side_by_side`.
    """
    chosen = folders(results, names)
    jobs = [partial(judged, results), *(partial(tables_of, folder) for folder in chosen)]
    verdicts, *made = side_by_side(jobs, processes)
    return _write(dict(zip(chosen, made, strict=True)), results, verdicts)


def _write(found: Mapping[Path, list[Table]], results: Path, verdicts: list[Table]) -> list[Path]:
    paths = [
        p for folder, made in found.items() for table in made for p in save_table(table, folder)
    ]
    return [*paths, write_claims(results, verdicts)]


def figures(results: Path, names: list[str], processes: int | None = 1) -> list[Path]:
    """Draw the figures of the named experiments (default: all); returns the files. The arguments
    are those of `tables`."""
    chosen = _largest_first(folders(results, names))
    found = side_by_side([partial(draw, folder) for folder in chosen], processes)
    return [path for paths in found for path in paths]


@styled()
def draw(folder: Path, pdf: bool = True, read_runs: Frame | None = None) -> list[Path]:
    """Draw the figures of one experiment from the records in its results folder.

    Args:
        folder: the folder.
        pdf: whether they are written as PDF too.
        read_runs: the folder's runs, if `read` was called already.
    """
    runs, paths = read(folder) if read_runs is None else read_runs, []
    for kind in report_of(folder.name).figures:
        figure = FIGURES[kind](runs, folder)
        if figure is not None:
            paths += save_figure(figure, folder / kind, pdf)
    return paths


@dataclass(frozen=True)
class Part:
    """A part of the report: tables that are still to be written, files that are, and, of an
    experiment, what the page says of it."""

    tables: list[Table]
    files: list[Path]
    digest: Digest | None = None


def _experiment(folder: Path) -> Part:
    runs = read(folder)
    return Part(tables_of(folder, runs), draw(folder, False, runs), digest(folder.name, runs))


def _drawn(draw: Callable[[Path, bool], list[Path]], folder: Path) -> Part:
    return Part([], draw(folder, False))


def _judged(results: Path) -> Part:
    return Part(judged(results), [])


def report(results: Path, processes: int | None = 1) -> list[Path]:
    """Write everything: the tables and figures of all experiments, of those in two variables and of
    measured trainings; the claims; and the page ``report.html``. Returns the files. No figure is
    written as PDF. ``processes``: how many share the work, see `side_by_side`."""
    chosen = _largest_first(folders(results))
    others = [
        partial(_drawn, room.draw, folder)
        for room in (toy, measured)
        for folder in room.found(results, [])
    ]
    jobs = [*others, partial(_judged, results), *(partial(_experiment, f) for f in chosen)]
    parts = side_by_side(jobs, processes)
    files = [path for part in parts for path in part.files]
    verdicts, experiments = parts[len(others)].tables, parts[len(others) + 1 :]
    made = dict(sorted(zip(chosen, experiments, strict=True)))
    found = {folder: part.tables for folder, part in made.items()}
    digests = {folder: part.digest for folder, part in made.items() if part.digest}
    files += _write(found, results, verdicts)
    return [*files, write_page(results, found, digests, verdicts)]


def _largest_first(chosen: list[Path]) -> list[Path]:
    """Many records take long, and what takes long should not be begun last."""
    return sorted(chosen, key=lambda folder: (folder / "runs.csv").stat().st_size, reverse=True)
