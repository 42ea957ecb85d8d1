"""What the figures and the table share: the cells of a results folder, and how things are named."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

SETTINGS = {
    "best": "each rule at the learning rate with its best mean score",
    "default": "every rule at the optimizer's default learning rate",
}
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop"}

Box = tuple[float, float, float, float]
"""Low and high x0, low and high x1."""


def load(folder: Path) -> pd.DataFrame:
    """The rows of ``cells.csv``: one a problem, optimizer, rule and learning rate."""
    return pd.read_csv(folder / "cells.csv")


def where(frame: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """The rows that have these values in these columns."""
    for column, value in values.items():
        frame = frame.loc[frame[column] == value]
    return frame


def different(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """The combinations of values that occur in the columns, in the order in which they do."""
    return list(dict.fromkeys(zip(*(frame[column].tolist() for column in columns), strict=True)))


def title(problem: str, optimizer: str) -> str:
    return f"{problem} with {OPTIMIZERS.get(optimizer, optimizer)}"


def minima(cells: pd.DataFrame, problem: str) -> list[tuple[float, float]]:
    """The places of a problem's global minima."""
    words = str(where(cells, problem=problem)["minima"].iloc[0]).split()
    return [(float(x0), float(x1)) for x0, x1 in (word.split(",") for word in words)]


def plane(ax: Axes, box: Box, places: list[tuple[float, float]]) -> None:
    """The plane of starts: its box, a star at each minimum, and the axes, which rules that only
    scale the weights do not cross."""
    ax.set_xlim(box[0], box[1])
    ax.set_ylim(box[2], box[3])
    ax.grid(False)
    for line in (ax.axhline, ax.axvline):
        line(0, color="0.25", lw=0.7, ls=(0, (4, 3)), zorder=2)
    x0, x1 = zip(*places, strict=True)
    ax.plot(x0, x1, "*", ms=11, mfc="#F0E442", mec="black", mew=0.8, ls="", zorder=6)
