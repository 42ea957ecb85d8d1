"""Helpers for the figures: a grid of panels with one legend and one caption above."""

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from gofau.report.cells import counts, describe, in_order, varying
from gofau.report.types import Frame

INCH = 0.19
"""The height of a line of small text, in inches."""


def grid(
    rows: int, columns: int, width: float = 2.2, height: float = 2.0, **shared: Any
) -> tuple[Figure, Any]:
    """Make a figure with a grid of panels (their size in inches) and room above for `finish`;
    returns the figure and its axes, shape (rows, columns)."""
    size = (max(width * columns + 0.9, 5.2), height * rows + 1.1)
    layout = ConstrainedLayoutEngine(w_pad=0.07, h_pad=0.06)
    # Not pyplot: it keeps every figure in memory, and may need a display.
    figure = Figure(figsize=size, layout=layout)
    return figure, figure.subplots(rows, columns, squeeze=False, **shared)


def finish(figure: Figure, axes: np.ndarray, caption: str) -> Figure:
    """Add the caption and one legend for all panels, above the panels, where it covers no data."""
    caption = textwrap.fill(caption, int(13 * figure.get_figwidth()))
    entries: dict[str, Any] = {}
    for ax in axes.ravel():
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if not entries:
        figure.suptitle(caption, fontsize=9)
        return figure
    figure.legend(
        [*entries.values()],
        [*entries],
        loc="outside upper center",
        ncols=min(len(entries), max(2, int(figure.get_figwidth() / 1.3))),
        title=caption,
        title_fontsize=9,
        frameon=False,
    )
    return figure


def what(runs: Frame) -> str:
    """The models and the data of these runs, such as ``small_cnn, mlp on digits``."""
    return f"{', '.join(in_order(runs['model']))} on {describe(runs)}"


def tally(runs: Frame) -> str:
    """Seeds and counts, such as ``3 seeds; 2 of 60 runs diverged``; dead and missing ones only if
    there are any."""
    done, lost, dead, missing = counts(runs)
    text = f"{runs['seed'].nunique()} seeds; {lost} of {done} runs diverged"
    text += f", {dead} dead" if dead else ""
    return text + (f", {missing} missing" if missing else "")


def rest(runs: Frame, *used: str) -> list[str]:
    """The varying axes that a figure does not show yet, data set and model first."""
    return [axis for axis in varying(runs) if axis not in used]


def arms_as_optimizers(runs: Frame) -> Frame:
    """The runs with a step size that is not the base's own as a part of the optimizer's label: one
    more column of a figure, where a row for it would be empty but for one panel."""
    other = ~runs["stepsize"].isin(["base", ""])
    label = runs["optimizer"].where(~other, runs["optimizer"] + "\n" + runs["stepsize"])
    return runs.assign(optimizer=label, stepsize="")


def name_of(values: object) -> str:
    """The title of a panel, from the values of its axes."""
    parts = values if isinstance(values, tuple) else (values,)
    return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in parts)


def panels(runs: Frame, axes: list[str]) -> list[tuple[str, Frame]]:
    """Group the runs by the values of some axes, each group with its title; one group of all runs
    if there are no axes."""
    if not axes:
        return [("", runs)]
    found = runs.groupby(axes, sort=False, dropna=False)
    return [(name_of(key), part) for key, part in found]


def per_cent(ax: Axes) -> None:
    """Show the fractions of the vertical axis in per cent."""
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}")
