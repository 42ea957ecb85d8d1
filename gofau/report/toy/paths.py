"""Figures of paths over contours, and below them the distance to the global minimum per step."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gofau.report.reading import read_csv
from gofau.report.style import RULE_DASHES, rule_colour, save_figure, styled
from gofau.report.toy.cells import Box, different, load, minima, plane, rule_line, title, where

FLOOR = 1e-12  # smaller distances are rounding errors, even in double precision
GLYPHS = {"o": "○", "s": "□", "D": "◇", "^": "△", "v": "▽"}
MARKS = "".join(GLYPHS)
WORDS = "Each rule from each start at the learning rate that suits it best there; ✕: a path's end"


@styled()
def draw(folder: Path, pdf: bool = True) -> list[Path]:
    """Draw ``paths``: one column per problem with its optimizer, one row of contours, and one row
    of distances per start."""
    paths = read_csv(folder / "paths.csv.gz")
    figure = _figure(paths, read_csv(folder / "surface.csv.gz"), load(folder))
    return save_figure(figure, folder / "paths", pdf)


def _figure(paths: pd.DataFrame, surface: pd.DataFrame, cells: pd.DataFrame) -> Figure:
    columns = different(paths, "problem", "optimizer")
    rows = 1 + max(len(different(where(paths, problem=p), "region")) for p, _ in columns)
    figure = Figure(figsize=(4.8 * len(columns), 2.9 + 2.1 * rows))
    ratios = [4.0] + [1.7] * (rows - 1)
    axes = figure.subplots(rows, len(columns), height_ratios=ratios, squeeze=False)
    for (problem, optimizer), (top, *below) in zip(columns, axes.T, strict=True):
        part = where(paths, problem=problem, optimizer=optimizer)
        plane(top, _contours(top, where(surface, problem=problem)), minima(cells, problem))
        top.set_title(title(problem, optimizer))
        top.set_xlabel("x0")
        for i, (region,) in enumerate(different(part, "region")):
            mark, mine = MARKS[i % len(MARKS)], where(part, region=region)
            for (rule,) in different(mine, "rule"):
                _path(top, where(mine, rule=rule), rule, mark)
            _distances(below[i], mine, region, mark)
        below[-1].set_xlabel("step (logarithmic from 10 on)")
    for ax, label in zip(axes[:, 0], ["x1"] + ["distance"] * (rows - 1), strict=True):
        ax.set_ylabel(label)
    rules = [rule for (rule,) in different(paths, "rule")]
    figure.suptitle(WORDS, fontsize=9)
    figure.legend([rule_line(rule, lw=1.6) for rule in rules], rules, ncols=len(rules),
                  loc="upper center", bbox_to_anchor=(0.5, 0.975), frameon=False)  # fmt: skip
    figure.tight_layout(rect=(0, 0, 1, 0.985))  # constrained: last digits vary
    return figure


def _contours(ax: Axes, ground: pd.DataFrame) -> Box:
    """Draw contours at equal ratios, since the valleys are orders of magnitude deep; returns the
    box."""
    table = ground.drop_duplicates().pivot(index="x1", columns="x0", values="value")
    x0, x1 = table.columns.to_numpy(dtype=float), table.index.to_numpy(dtype=float)
    values = table.to_numpy(dtype=float)
    levels = np.geomspace(max(values.min(), 1e-2), values.max(), 14)
    ax.contour(x0, x1, values, levels, colors="0.72", linewidths=0.7, zorder=1)
    return x0[0], x0[-1], x1[0], x1[-1]


def _path(ax: Axes, path: pd.DataFrame, rule: str, mark: str) -> None:
    x0, x1 = path["x0"].to_numpy(), path["x1"].to_numpy()
    colour, dashes = rule_colour(rule), RULE_DASHES.get(rule, "-")
    ax.plot(x0, x1, ls=dashes, color=colour, lw=1.6, zorder=4)
    ax.plot(x0[-1:], x1[-1:], "x", color=colour, ms=7, mew=2, zorder=7)
    ax.plot(x0[:1], x1[:1], mark, mfc="white", mec="black", ms=7, zorder=8)


def _distances(ax: Axes, part: pd.DataFrame, region: str, mark: str) -> None:
    """Draw the distances from one start; the legend names each rule's learning rate for it."""
    pairs = different(part, "rule", "lr")
    for rule, _ in pairs:
        path = where(part, rule=rule)
        distance = np.maximum(path["distance"].to_numpy(dtype=float), FLOOR)
        dashes, colour = RULE_DASHES.get(rule, "-"), rule_colour(rule)
        ax.plot(path["step"].to_numpy(), distance, ls=dashes, color=colour, lw=1.5)
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, high / 100), high)  # two decades or more: little progress looks little
    last = int(part["step"].to_numpy().max())
    ax.set_xscale("symlog", linthresh=10)
    ticks = [t for t in (0, 5, 10, 100, 1000) if t <= last]
    ax.set_xticks(ticks, [str(t) for t in ticks])
    ax.set_xlim(0, last)
    ax.set_title(f"{GLYPHS[mark]} from {region}, learning rates:", fontsize=9, loc="left", pad=18)
    place = {"loc": "lower left", "bbox_to_anchor": (-0.02, 0.96), "fontsize": 8}
    style = {"columnspacing": 1.2, "handlelength": 1.8, "handletextpad": 0.5, "frameon": False}
    ax.legend([rule_line(rule, lw=1.5) for rule, _ in pairs], [f"{lr:g}" for _, lr in pairs],
              ncols=len(pairs), **place, **style)  # fmt: skip
