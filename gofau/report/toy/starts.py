"""Figures of the score over the starting points, as heat maps and as surfaces."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from mpl_toolkits.mplot3d.axes3d import Axes3D

from gofau.report.reading import read_csv
from gofau.report.style import save_figure, styled
from gofau.report.toy.cells import different, load, minima, plane, title, where

COLOURS, LOST = "cividis", "#D55E00"
SIDE = 34  # points along a side of a surface: enough for its shape
WORDS = {
    "all": "Score over all starting points, each rule at the learning rate that suits these best",
    "same signs": "Score over the starting points with the signs of a minimum, each rule at the "
    "learning rate that suits these best",
}
LABEL = "score: distance to the nearest global minimum, mean over the steps (lower is better)"


@styled()
def draw(folder: Path, pdf: bool = True) -> list[Path]:
    """Draw ``starts_<problem>_<region>`` for each region of starts that has its own learning rates:
    one column per rule, one row of heat maps and one row of surfaces per optimizer, all on one
    logarithmic colour scale."""
    cells = where(load(folder), best=True)
    drawn: list[Path] = []
    for path in sorted(folder.glob("starts_*.csv.gz")):
        starts = read_csv(path)
        for (region,) in different(starts, "region"):
            figure = _figure(where(starts, region=region), where(cells, region=region))
            figure.suptitle(
                WORDS[region], fontsize=10, y=1 - 0.1 / figure.get_figheight(), va="top"
            )
            stem = f"{path.name.split('.')[0]}_{region.replace(' ', '_')}"
            drawn += save_figure(figure, folder / stem, pdf)
    return drawn


def _figure(starts: pd.DataFrame, cells: pd.DataFrame) -> Figure:
    """One figure, with positions given in inches. An automatic layout would differ in the last
    digits each time, and so would the bytes of the file."""
    rows, rules = different(starts, "problem", "optimizer"), different(starts, "rule")
    scores = starts["score"].to_numpy(dtype=float)
    norm = LogNorm(max(float(np.quantile(scores, 0.01)), 1e-3), float(scores.max()))
    width, height = 2.5 * len(rules) + 0.3, 5.2 * len(rows) + 1.2
    figure = Figure(figsize=(width, height))
    for row, (problem, optimizer) in enumerate(rows):
        top = height - 0.45 - 5.2 * row
        figure.text(0.5, top / height, title(problem, optimizer), fontsize=10, ha="center",
                    fontweight="bold", va="top")  # fmt: skip
        places = minima(cells, problem)
        mine, facts = (where(f, problem=problem, optimizer=optimizer) for f in (starts, cells))
        for column, (rule,) in enumerate(rules):
            left = 0.5 + 2.5 * column

            def at(x: float, y: float, w: float, h: float, left: float = left, top: float = top):
                return ((left + x) / width, (top - y - h) / height, w / width, h / height)

            ax = figure.add_axes(at(0, 0.65, 2.0, 1.9))
            _heat(ax, where(mine, rule=rule), norm, places)
            ax.set_title(_caption(where(facts, rule=rule)), fontsize=8)
            surface = figure.add_axes(at(-0.1, 2.9, 2.25, 2.25), projection="3d")
            assert isinstance(surface, Axes3D)
            _surface(surface, where(mine, rule=rule), norm)
    bar = figure.add_axes((0.2, 0.55 / height, 0.6, 0.15 / height))
    figure.colorbar(ScalarMappable(norm, COLOURS), cax=bar, orientation="horizontal", label=LABEL)
    if "diverged" in set(starts["state"]):
        handles = [Patch(color=LOST, label="diverged")]
        where_to = (0.99, 0.62 / height)
        figure.legend(handles=handles, loc="center right", bbox_to_anchor=where_to, frameon=False)
    return figure


def _caption(facts: pd.DataFrame) -> str:
    (rule, lr, score, converged), *_ = different(facts, "rule", "lr", "score", "converged")
    return f"{rule}, lr {lr:g}\nmean {score:.3g}, converged {converged:.1%}"


def _heat(ax: Axes, starts: pd.DataFrame, norm: LogNorm, places: list[tuple[float, float]]) -> None:
    table = starts.pivot(index="x1", columns="x0", values="score")
    states = starts.pivot(index="x1", columns="x0", values="state")
    x0, x1 = table.columns.to_numpy(dtype=float), table.index.to_numpy(dtype=float)
    colours = ScalarMappable(norm, COLOURS).to_rgba(table.to_numpy(dtype=float))
    colours[states.to_numpy() == "diverged"] = to_rgba(LOST)
    box = (x0[0], x0[-1], x1[0], x1[-1])
    ax.imshow(colours, origin="lower", extent=box, aspect="auto", interpolation="nearest")
    plane(ax, box, places)
    ax.set_xlabel("x0", labelpad=1)
    ax.set_ylabel("x1", labelpad=1)


def _surface(ax: Axes3D, starts: pd.DataFrame, norm: LogNorm) -> None:
    table = starts.pivot(index="x1", columns="x0", values="score")
    every = max(1, round(len(table) / SIDE))
    thin = table.iloc[::every, ::every]
    x0, x1 = np.meshgrid(thin.columns.to_numpy(dtype=float), thin.index.to_numpy(dtype=float))
    score = thin.to_numpy(dtype=float)
    colours = ScalarMappable(norm, COLOURS).to_rgba(score)
    ax.plot_surface(
        x0, x1, score, facecolors=colours, rstride=1, cstride=1, lw=0, shade=False,
        antialiased=False, rasterized=True,
    )  # fmt: skip
    ax.set_zlim(0, norm.vmax)
    ax.view_init(elev=32, azim=55)
    ax.tick_params(labelsize=6, pad=-3)
    ax.locator_params(nbins=4)
    ax.set_xlabel("x0", fontsize=7, labelpad=-8)
    ax.set_ylabel("x1", fontsize=7, labelpad=-8)
    ax.set_zlabel("score", fontsize=7, labelpad=-10)
