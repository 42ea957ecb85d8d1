"""Paths over contours, and below them the distance to the global minimum against the step."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gofau.report.style import RULE_DASHES, rule_colour, save_figure
from gofau.report.toy.cells import SETTINGS, Box, different, load, minima, plane, title, where

FLOOR = 1e-6  # below, single precision has nothing more to say
MARKS = "osD^v"


def draw(folder: Path) -> list[Path]:
    """Draw ``paths_best`` and ``paths_default``: a column for each problem with its optimizer, a
    row of contours and a row for each start."""
    paths = pd.read_csv(folder / "paths.csv.gz")
    surface, cells = pd.read_csv(folder / "surface.csv.gz"), load(folder)
    drawn: list[Path] = []
    for setting, words in SETTINGS.items():
        figure = _figure(where(paths, setting=setting), surface, cells)
        figure.suptitle(f"{words[0].upper()}{words[1:]}; ✕ is where a path ends", fontsize=9)
        figure.tight_layout()  # the constrained one is not the same to the last digit each time
        drawn += save_figure(figure, folder / f"paths_{setting}")
        plt.close(figure)
    return drawn


def _figure(paths: pd.DataFrame, surface: pd.DataFrame, cells: pd.DataFrame) -> Figure:
    columns = different(paths, "problem", "optimizer")
    rows = 1 + len(different(paths, "start"))
    figure, axes = plt.subplots(
        rows,
        len(columns),
        figsize=(4.6 * len(columns), 2.3 + 1.9 * rows),
        height_ratios=[4.0] + [1.7] * (rows - 1),
        squeeze=False,
    )
    for (problem, optimizer), (top, *below) in zip(columns, axes.T, strict=True):
        part = where(paths, problem=problem, optimizer=optimizer)
        plane(top, _contours(top, where(surface, problem=problem)), minima(cells, problem))
        top.set_title(title(problem, optimizer), pad=38)
        top.set_xlabel("x0")
        _legend(top, part)
        for start, rule in different(part, "start", "rule"):
            _path(top, where(part, start=start, rule=rule), rule, MARKS[start % len(MARKS)])
        for start, ax in enumerate(below):
            _distances(ax, where(part, start=start), MARKS[start % len(MARKS)])
        below[-1].set_xlabel("step (logarithmic from 10 on)")
    for ax, label in zip(axes[:, 0], ["x1"] + ["distance"] * (rows - 1), strict=True):
        ax.set_ylabel(label)
    return figure


def _contours(ax: Axes, ground: pd.DataFrame) -> Box:
    """Contours at equal ratios, since the valleys are orders of magnitude deep; the box."""
    table = ground.drop_duplicates().pivot(index="x1", columns="x0", values="value")
    x0, x1 = table.columns.to_numpy(dtype=float), table.index.to_numpy(dtype=float)
    values = table.to_numpy(dtype=float)
    levels = np.geomspace(max(values.min(), 1e-2), values.max(), 14)
    ax.contour(x0, x1, values, levels, colors="0.72", linewidths=0.7, zorder=1)
    return x0[0], x0[-1], x1[0], x1[-1]


def _path(ax: Axes, path: pd.DataFrame, rule: str, mark: str) -> None:
    x0, x1 = path["x0"].to_numpy(), path["x1"].to_numpy()
    colour, dashes = rule_colour(rule), RULE_DASHES.get(rule, "-")
    ax.plot(x0, x1, dashes, color=colour, lw=1.6, zorder=4)
    ax.plot(x0[-1:], x1[-1:], "x", color=colour, ms=7, mew=2, zorder=7)
    ax.plot(x0[:1], x1[:1], mark, mfc="white", mec="black", ms=7, zorder=5)


def _distances(ax: Axes, part: pd.DataFrame, mark: str) -> None:
    for (rule,) in different(part, "rule"):
        path = where(part, rule=rule)
        distance = np.maximum(path["distance"].to_numpy(dtype=float), FLOOR)
        dashes, colour = RULE_DASHES.get(rule, "-"), rule_colour(rule)
        ax.plot(path["step"].to_numpy(), distance, dashes, color=colour, lw=1.5)
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, high / 100), high)  # so that little progress looks like little
    ax.set_xscale("symlog", linthresh=10)
    ax.set_xticks([0, 5, 10, 100, 1000], ["0", "5", "10", "100", "1000"])
    ax.set_xlim(0, part["step"].to_numpy().max())
    x0, x1 = part["x0"].iloc[0], part["x1"].iloc[0]
    ax.set_title(f"     from ({x0:g}, {x1:g})", fontsize=9, loc="left")
    ax.plot(0.02, 1.09, mark, mfc="white", mec="black", ms=6, transform=ax.transAxes, clip_on=False)


def _legend(ax: Axes, part: pd.DataFrame) -> None:
    """Above the contours, since the learning rates are the column's own."""
    rules = different(part, "rule", "lr")
    lines = [Line2D([], [], ls=RULE_DASHES.get(rule, "-"), color=rule_colour(rule), lw=1.6)
             for rule, _ in rules]  # fmt: skip
    names = [f"{rule}, lr {lr:g}" for rule, lr in rules]
    ax.legend(lines, names, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8,
              frameon=False)  # fmt: skip
