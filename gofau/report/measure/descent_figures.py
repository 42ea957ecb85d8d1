"""Figures of measured against predicted decrease."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from gofau.report.measure.common import conditions, moment, optimizer_name
from gofau.report.measure.descent import DIRECTIONS, TOLERANCE, compared, load, table
from gofau.report.render import save_table
from gofau.report.style import OTHERS, rule_colour, save_figure, styled
from gofau.report.types import Frame

WORDS = {
    "network": "relative size of the whole network, ‖Δθ‖/‖θ‖",
    "layer": "relative size of every layer, ‖Δθ‖/‖θ‖",
}
LOSSES = {"batch": "loss of the batch", "training set": "loss of the training set"}
MARKS = {"network": ("o", "black"), "layer": ("s", OTHERS[1])}


@styled()
def draw(folder: Path, pdf: bool = True) -> list[Path]:
    """Write ``table.md``, ``.tex``, ``.csv``; the figure ``holds_to``; and one figure per scaling,
    ``ratio_network`` and ``ratio_layer``."""
    steps = load(folder)
    found = compared(steps)
    paths = save_table(table(found, conditions(folder)), folder)
    paths += save_figure(_forest(found), folder / "holds_to", pdf)
    for scaling in steps["scaling"].unique():
        figure = _ratios(steps[steps["scaling"] == scaling], WORDS[scaling])
        paths += save_figure(figure, folder / f"ratio_{scaling}", pdf)
    return paths


def _moments(frame: Frame) -> list[tuple[int, str]]:
    """The different (epoch, rule of the training), in the order of the training."""
    return sorted(set(zip(frame["epoch"], frame["rule"], strict=True)))


def _name(epoch: int, rule: str, last: int, gap: str) -> str:
    return moment(epoch, last) + (f"{gap}with the {rule} rule" if epoch else "")


def _ratios(steps: Frame, words: str) -> Figure:
    """One row per optimizer and loss, one column per moment and rule of the training."""
    optimizers, moments = list(steps["optimizer"].unique()), _moments(steps)
    rows = [(optimizer, loss) for optimizer in optimizers for loss in LOSSES]
    figure = Figure(figsize=(2.4 * len(moments) + 0.4, 1.1 + 1.7 * len(rows)))
    axes = figure.subplots(len(rows), len(moments), sharex=True, sharey=True, squeeze=False)
    for (optimizer, loss), line in zip(rows, axes, strict=True):
        for (epoch, rule), ax in zip(moments, line, strict=True):
            part = steps[(steps["optimizer"] == optimizer) & (steps["loss"] == loss)]
            _panel(ax, part[(part["epoch"] == epoch) & (part["rule"] == rule)])
        line[0].set_ylabel(
            f"{optimizer_name(optimizer)}, {LOSSES[loss]}\nmeasured/predicted", fontsize=8
        )
    for (epoch, rule), ax in zip(moments, axes[0], strict=True):
        ax.set_title(_name(epoch, rule, moments[-1][0], "\n"), fontsize=9)
    figure.supxlabel(words, fontsize=9)
    handles = [Line2D([], [], color=rule_colour(name), lw=1.8) for name in DIRECTIONS]
    handles.append(Line2D([], [], color="0.9", lw=8))
    labels = [f"{name} step: median over the seeds, thin: each seed" for name in DIRECTIONS]
    labels.append("the prediction holds")
    figure.legend(handles, labels, ncols=3, loc="upper center", frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.965))  # constrained: last digits vary
    return figure


def _panel(ax: Axes, part: Frame) -> None:
    ax.axhspan(1 - TOLERANCE, 1 + TOLERANCE, color="0.93", zorder=0)
    ax.axhline(0, color="0.5", lw=0.7, zorder=1)
    for direction in DIRECTIONS:
        mine = part[part["direction"] == direction]
        wide = mine.pivot(index="size", columns="seed", values="ratio")
        x, colour = wide.index.to_numpy(dtype=float), rule_colour(direction)
        ax.plot(x, wide.to_numpy(), color=colour, lw=0.6, alpha=0.45, zorder=2)
        ax.plot(x, wide.median(axis=1).to_numpy(), color=colour, lw=1.8, zorder=3)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(numticks=3))
    ax.set_ylim(-0.6, 1.6)
    ax.set_xlim(part["size"].min(), part["size"].max())


def _forest(found: Frame) -> Figure:
    """How much farther the prediction holds for the multiplicative step than for the additive one:
    one row per optimizer, moment and rule of the training, one column per loss."""
    lines = [(o, e, r) for o in found["optimizer"].unique() for e, r in _moments(found)]
    figure = Figure(figsize=(9.0, 1.4 + 0.32 * len(lines)))
    axes = figure.subplots(1, len(LOSSES), sharex=True, sharey=True, squeeze=False)[0]
    for (loss, words), ax in zip(LOSSES.items(), axes, strict=True):
        _intervals(ax, found[found["loss"] == loss], lines)
        ax.set_title(words)
    last = max(epoch for _, epoch, _ in lines)
    names = [f"{optimizer_name(o)}, {_name(e, r, last, ', ')}" for o, e, r in lines]
    axes[0].set_yticks(range(len(lines)), names)
    axes[0].invert_yaxis()
    words = "relative size up to which the prediction holds: multiplicative step / additive step"
    figure.supxlabel(words, fontsize=9)
    styles: list[dict[str, Any]] = [{"marker": m, "color": c} for m, c in MARKS.values()]
    handles = [Line2D([], [], lw=1.2, **style) for style in styles]
    labels = [
        f"equal relative size of {'every' if n == 'layer' else 'the whole'} {n}" for n in MARKS
    ]
    figure.legend(handles, labels, ncols=2, loc="upper center", frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.94))  # constrained: last digits vary
    return figure


def _intervals(ax: Axes, found: Frame, lines: list[tuple[str, int, str]]) -> None:
    """Geometric means over the seeds with 95 % intervals; each seed is a pair at the same
    weights."""
    ax.axvline(1, color="0.3", lw=0.9, zorder=1)
    for offset, (scaling, (mark, colour)) in zip((-0.15, 0.15), MARKS.items(), strict=True):
        mine = found[found["scaling"] == scaling].set_index(["optimizer", "epoch", "rule"])
        part = mine.loc[lines]
        y = np.arange(len(lines)) + offset
        ax.hlines(y, part["low"].to_numpy(), part["high"].to_numpy(), color=colour, lw=1.2)
        ax.plot(part["ratio"].to_numpy(), y, mark, color=colour, ms=4, zorder=3)
    ax.set_xscale("log")
    ax.set_xlim(0.2, 10)  # a longer interval ends at the edge
    ticks = (0.25, 0.5, 1, 2, 4, 8)
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)
