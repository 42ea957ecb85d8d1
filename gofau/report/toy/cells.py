"""Helpers of the figures and tables: reading the cells of a results folder, and names."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gofau.report.reading import read_csv
from gofau.report.style import RULE_DASHES, rule_colour

OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop"}
OPTIMIZERS |= {"adagrad": "Adagrad"}

Box = tuple[float, float, float, float]
"""Low and high x0, low and high x1."""


def load(folder: Path) -> pd.DataFrame:
    """The rows of ``cells.csv``: one per arm that is compared."""
    return read_csv(folder / "cells.csv")


def where(frame: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """The rows that have these values in these columns."""
    for column, value in values.items():
        frame = frame.loc[frame[column] == value]
    return frame


def different(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """The distinct combinations of values in the columns, in order of appearance."""
    return list(dict.fromkeys(zip(*(frame[column].tolist() for column in columns), strict=True)))


def optimizer_name(optimizer: str) -> str:
    return OPTIMIZERS.get(optimizer, optimizer)


def title(problem: str, optimizer: str) -> str:
    return f"{problem} with {optimizer_name(optimizer)}"


def minima(cells: pd.DataFrame, problem: str) -> list[tuple[float, float]]:
    """The positions of a problem's global minima."""
    words = str(where(cells, problem=problem)["minima"].iloc[0]).split()
    return [(float(x0), float(x1)) for x0, x1 in (word.split(",") for word in words)]


def plane(ax: Axes, box: Box, places: list[tuple[float, float]]) -> None:
    """Draw the plane of starts: its box, a star at each minimum, and the two axes, which rules that
    only scale the weights cannot cross."""
    ax.set_xlim(box[0], box[1])
    ax.set_ylim(box[2], box[3])
    ax.grid(False)
    for line in (ax.axhline, ax.axvline):
        line(0, color="0.25", lw=0.7, ls=(0, (4, 3)), zorder=2)
    inside = [(x, y) for x, y in places if box[0] <= x <= box[1] and box[2] <= y <= box[3]]
    for x0, x1 in inside:
        ax.plot(x0, x1, "*", ms=11, mfc="#F0E442", mec="black", mew=0.8, ls="", zorder=6)


def rule_line(rule: str, **more: Any) -> Line2D:
    """A legend entry for a rule's line."""
    return Line2D([], [], ls=RULE_DASHES.get(rule, "-"), color=rule_colour(rule), **more)
