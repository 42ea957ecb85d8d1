"""What the figures share: a grid of panels, one legend above, one caption."""

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from gofau.report.cells import counts, describe, in_order, varying
from gofau.report.types import Frame

INCH = 0.19
"""Height of a line of small text."""


def grid(
    rows: int, columns: int, width: float = 2.2, height: float = 2.0, **shared: Any
) -> tuple[Figure, Any]:
    """A figure of panels of that size in inches, with room above for `finish`; axes (rows,
    columns)."""
    size = (max(width * columns + 0.9, 5.2), height * rows + 1.1)
    layout = ConstrainedLayoutEngine(w_pad=0.07, h_pad=0.06)
    # Not by pyplot: that keeps every figure, and asks for a screen.
    figure = Figure(figsize=size, layout=layout)
    return figure, figure.subplots(rows, columns, squeeze=False, **shared)


def finish(figure: Figure, axes: np.ndarray, caption: str) -> Figure:
    """One legend for all panels, below the caption and above the panels: it covers no data."""
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
    """``small_cnn, mlp on digits``."""
    return f"{', '.join(in_order(runs['model']))} on {describe(runs)}"


def tally(runs: Frame) -> str:
    """``3 seeds; 2 of 60 runs diverged``, and how many are missing, if any are."""
    done, lost, dead, missing = counts(runs)
    text = f"{runs['seed'].nunique()} seeds; {lost} of {done} runs diverged"
    text += f", {dead} dead" if dead else ""
    return text + (f", {missing} missing" if missing else "")


def rest(runs: Frame, *used: str) -> list[str]:
    """What varies besides the axes that a figure shows already, dataset and model first."""
    return [axis for axis in varying(runs) if axis not in used]


def name_of(values: object) -> str:
    """The title of a panel."""
    parts = values if isinstance(values, tuple) else (values,)
    return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in parts)


def panels(runs: Frame, axes: list[str]) -> list[tuple[str, Frame]]:
    """The runs by the values of some axes, each with its title; all of them if there are no
    axes."""
    if not axes:
        return [("", runs)]
    found = runs.groupby(axes, sort=False, dropna=False)
    return [(name_of(key), part) for key, part in found]


def per_cent(ax: Axes) -> None:
    """Accuracies are fractions; the axis shows them in per cent."""
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}")
