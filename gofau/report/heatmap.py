"""Heat maps of robustness: one panel per rule and optimizer, the result over initialisation ×
learning rate."""

from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from gofau.report.cells import in_order, rules, varying
from gofau.report.metric import Metric, heading, metric_of
from gofau.report.panels import finish, grid, panels, plain, rest, tally, upright, what
from gofau.report.sensitivity import NAMES
from gofau.report.types import Frame


def heatmap(runs: Frame, folder: Path) -> Figure | None:
    """Draw the mean test result in each cell (accuracies in per cent), and in brackets how many
    seeds diverged or were dead.

    There is one column of panels per rule. Where both initialisation and learning rate vary, a
    panel shows one against the other, with one row of panels per optimizer. Where only one of them
    varies, a panel shows it against the optimizers. The panels of one data set and model have one
    scale of colours.
    """
    both = {"init", "lr"} <= set(varying(runs))
    across = "lr" if both else "optimizer"
    down = "lr" if not both and "lr" in varying(runs) else "init"
    if runs["outcome"].notna().sum() == 0:
        return None
    blocks, names = panels(runs, rest(runs, across, down)), rules(runs)
    metric = metric_of(runs)
    ys, xs = in_order(runs[down]), in_order(runs[across])
    height = max(1.2, 0.36 * len(ys) + 0.5)
    figure, axes = grid(
        len(blocks),
        len(names),
        width=max(2.4, 0.5 * len(xs)),
        height=height,
        sharex=True,
        sharey=True,
    )
    for _, same in groupby(range(len(blocks)), key=lambda i: _task(blocks[i][1])):
        of = [*same]
        ends = _ends(pd.concat([blocks[i][1] for i in of]), metric, down, across)
        image = None
        for i in of:
            title, block = blocks[i]
            for ax, rule in zip(axes[i], names, strict=True):
                image = _panel(ax, block[block["rule"] == rule], (down, ys), (across, xs), ends)
            axes[i][0].set_ylabel(upright(title, height))
        assert image is not None
        _bar(figure, axes[of], image, runs, metric)
    if not blocks[0][0]:
        figure.supylabel(NAMES.get(down, down), fontsize=9)
    for ax, rule in zip(axes[0], names, strict=True):
        ax.set_title(rule)
    figure.supxlabel(NAMES.get(across, across), fontsize=9)
    caption = f"{what(runs)}: mean over {tally(runs)} (in brackets: how many of a cell)"
    return finish(figure, axes, caption)


def _task(runs: Frame) -> tuple[str, str]:
    """Of a row of panels; a row of several tasks is one of its own."""
    return ", ".join(in_order(runs["dataset"])), ", ".join(in_order(runs["model"]))


def _bar(figure: Figure, axes: np.ndarray, image: AxesImage, runs: Frame, metric: Metric) -> None:
    """Add the scale of colours beside the panels that it is for."""
    worst = "min" if metric.higher else "max"
    # As wide for one row of panels as for many.
    bar = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.01, extend=worst, aspect=20 * len(axes))
    bar.ax.yaxis.set_major_formatter(plain)
    bar.set_label(heading(runs) + metric.unit)


def _ends(runs: Frame, metric: Metric, down: str, across: str) -> tuple[float, float]:
    """The ends of the colour scale, from the cells' means. The bad end is a quantile, since a few
    very bad cells would make all others look the same; the colour bar's arrow says so."""
    keys = list(dict.fromkeys(["rule", down, across, "optimizer"]))
    means = metric.scale * runs.groupby(keys)["outcome"].mean().dropna()
    low, high = (0.1, 1.0) if metric.higher else (0.0, 0.9)
    return float(means.quantile(low)), float(means.quantile(high))


def _panel(
    ax: Axes,
    part: Frame,
    down: tuple[str, list],
    across: tuple[str, list],
    ends: tuple[float, float],
):
    keys = [down[0], across[0]]
    means = part.groupby(keys)["outcome"].mean().unstack().reindex(index=down[1], columns=across[1])
    lost = ((part["state"] == "diverged") | part["dead"]).groupby([part[k] for k in keys]).sum()
    metric = metric_of(part)
    values = metric.scale * means.to_numpy(dtype=float)
    # Bright is good for either direction of the metric.
    colours = "cividis" if metric.higher else "cividis_r"
    image = ax.imshow(values, cmap=colours, vmin=ends[0], vmax=ends[1], aspect="auto")
    ax.grid(False)
    digits = 0 if ends[1] - ends[0] > 10 else 1
    for (i, j), value in np.ndenumerate(values):
        count = lost.get((down[1][i], across[1][j]), 0)
        shown = f"{value:.{digits}f}" if metric.fraction else f"{value:.3g}"
        text = "–" if np.isnan(value) else shown + (f" ({count})" if count else "")
        bright = (value - ends[0]) / (ends[1] - ends[0] or 1)
        bright = bright if metric.higher else 1 - bright
        colour = "black" if np.isnan(value) or bright > 0.55 else "white"
        ax.text(j, i, text, ha="center", va="center", fontsize=7, color=colour)
    for set_ticks, values_ in ((ax.set_yticks, down[1]), (ax.set_xticks, across[1])):
        labels = [f"{v:g}" if isinstance(v, float) else str(v) for v in values_]
        set_ticks(range(len(labels)), labels, fontsize=8)
    return image
