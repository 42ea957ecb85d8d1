"""A results folder of measured trainings: which tables and figures its files allow."""

from pathlib import Path

from gofau.report.experiments import written
from gofau.report.measure import descent_figures, weights


def found(results: Path, names: list[str]) -> list[Path]:
    """The folders below ``results`` of measured trainings: all, or those named.

    Raises:
        UserError: there are no results here, or a named folder is none of them.
    """
    return written(results, names, "trainings.csv", "gofau.measure")


def draw(folder: Path, pdf: bool = True) -> list[Path]:
    """Make what the files in the folder allow; returns the paths of what was written.

    Args:
        folder: one of those that `found` finds.
        pdf: whether figures are written as PDF too.
    """
    task = descent_figures if (folder / "steps.csv.gz").exists() else weights
    return task.draw(folder, pdf)
