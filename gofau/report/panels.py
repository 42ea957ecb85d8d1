"""Helpers for the figures: a grid of panels with one legend and one caption above."""

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

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


def finish(
    figure: Figure, axes: np.ndarray, caption: str, legend: Mapping[str, Any] | None = None
) -> Figure:
    """Add the caption and one legend for all panels, above the panels, where it covers no data.

    Args:
        legend: entries of the legend that stand for no line or bar of their own: label → handle.
    """
    caption = textwrap.fill(caption, int(13 * figure.get_figwidth()))
    entries: dict[str, Any] = dict(legend or {})
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
    seeds = runs["seed"].nunique()
    text = f"{seeds} seed{'s' * (seeds != 1)}; {lost} of {done} runs diverged"
    text += f", {dead} dead" if dead else ""
    return text + (f", {missing} missing" if missing else "")


def averaged(runs: Frame) -> str:
    """What the lines show, for a caption: ``mean and 95 % interval over 3 seeds; …``."""
    return f"{'mean and 95 % interval over ' * (runs['seed'].nunique() > 1)}{tally(runs)}"


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


def upright(label: str, height: float = 2.0) -> str:
    """A vertical label, broken so that no line of it is longer than a panel of that many inches.

    >>> upright("fashion_mnist, mlp, kaiming_normal")
    'fashion_mnist, mlp,\\nkaiming_normal'
    """
    lines = label.split("\n")
    return "\n".join(textwrap.fill(x, int(12 * height), break_on_hyphens=False) for x in lines)


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


def plain(value: float, _: object = None) -> str:
    """Format a tick as a plain number: ``2.1``, where matplotlib writes 2.1×10⁰.

    >>> plain(2.1), plain(-0.0005), plain(20000.0)
    ('2.1', '−0.0005', '20,000')
    """
    text = f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return text.replace("-", "−")


def log_ticks(axis: Axis) -> None:
    """Give a logarithmic axis, whose limits are set, a few ticks with plain numbers: 1, 2 and 5
    times powers of ten; even steps where the axis holds fewer than three of these; powers alone
    where it holds many."""
    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    held = [m * 10.0**k for k in powers for m in (1, 2, 5) if low <= m * 10.0**k <= high]
    if len(held) < 3:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    elif decades <= 3:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=99))
    if decades <= 4:  # beyond, powers of ten are easier to read
        axis.set_major_formatter(plain)
    axis.set_minor_locator(NullLocator())


def cut_marks(ax: Axes, x: Any, low: Any, high: Any, colour: str) -> None:
    """Mark intervals that leave the panel, whose limits are set, with arrows at its edge."""
    bottom, top = ax.get_ylim()
    edges = ((0.0, np.asarray(low) < bottom, "v"), (1.0, np.asarray(high) > top, "^"))
    for edge, cut, shape in edges:
        if cut.any():  # an empty line would count as a point at the figure's corner in the layout
            at = ax.get_xaxis_transform()
            style = {"color": colour, "ms": 3.5, "clip_on": False, "zorder": 4}
            ax.plot(np.asarray(x)[cut], np.full(cut.sum(), edge), shape, transform=at, **style)
