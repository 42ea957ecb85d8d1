"""The common style of all figures: colour-blind safe, one colour per rule, and the same bytes each
time a figure is drawn."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

# Okabe and Ito's palette (2008): distinguishable with the common kinds of colour blindness.
RULE_COLOURS = {
    "additive": "#000000",
    "multiplicative": "#D55E00",
    "hybrid": "#0072B2",
    "exponential": "#009E73",
    "power": "#CC79A7",
}
OTHERS = ("#E69F00", "#56B4E9", "#F0E442")
RULE_DASHES = {"multiplicative": "--", "exponential": ":", "power": "-."}
"""Line styles of the rules; a rule that is not named here has a solid line."""

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "figure.dpi": 120,
    "svg.hashsalt": "gofau",
}


@contextmanager
def styled() -> Iterator[None]:
    """Use our style inside the block; afterwards matplotlib's settings are restored. Also a
    decorator, for functions that draw. Figures are made without pyplot, so no backend has to be
    chosen."""
    with mpl.rc_context(STYLE):
        yield


def rule_colour(rule: str) -> str:
    """The rule's colour; your own rules get one of the palette's other colours, by their name."""
    return RULE_COLOURS.get(rule) or OTHERS[sum(map(ord, rule)) % len(OTHERS)]


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write ``stem.svg`` and ``stem.png`` without dates, so that a redrawn file is identical."""
    paths = [stem.with_suffix(".svg"), stem.with_suffix(".png")]
    if figure.get_layout_engine() is not None:  # once: a second layout could differ in rounding
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    figure.savefig(paths[0], metadata={"Date": None, "Creator": None})
    figure.savefig(paths[1], metadata={"Software": None}, dpi=150)
    return paths
