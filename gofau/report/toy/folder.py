"""A results folder of an experiment in two variables: which tables and figures its files allow."""

from pathlib import Path

from gofau.report.experiments import written
from gofau.report.toy import drawn, paths, starts, table, tuned


def found(results: Path, names: list[str]) -> list[Path]:
    """The folders below ``results`` of experiments in two variables: all, or those named.

    Raises:
        UserError: there are no results here, or a named folder is none of them.
    """
    return written(results, names, "cells.csv", "gofau.toy")


def draw(folder: Path, pdf: bool = True) -> list[Path]:
    """Make what the files in the folder allow; returns the paths of what was written.

    Args:
        folder: one of those that `found` finds.
        pdf: whether figures are written as PDF too.
    """
    if (folder / "bests.csv.gz").exists():
        made = tuned.draw(folder, pdf)
    elif (folder / "quantiles.csv.gz").exists():
        made = drawn.draw(folder, pdf)
    else:
        made = table.draw(folder)
    if (folder / "paths.csv.gz").exists():
        made += paths.draw(folder, pdf)
    if any(folder.glob("starts_*.csv.gz")):
        made += starts.draw(folder, pdf)
    return made
