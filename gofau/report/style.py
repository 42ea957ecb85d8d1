"""The common style of all figures: colour-blind safe, one colour per rule, and the same bytes each
time a figure is drawn."""

import colorsys
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from PIL import Image

# Okabe and Ito's palette (2008): distinguishable with the common kinds of colour blindness.
RULE_COLOURS = {
    "additive": "#000000",
    "multiplicative": "#D55E00",
    "hybrid": "#0072B2",
    "exponential": "#009E73",
    "power": "#CC79A7",
    "hypentropy": "#56B4E9",
    "own": "#E69F00",  # of optimizers that are a rule of their own, such as Lion
}
OWN_COLOURS = ("#882255", "#999933", "#332288", "#E3007E", "#7F4F24", "#00C5CD")
"""Colours of all other rules, such as those that you write, each far from the colours above: three
of Tol's muted palette, and three more."""
OTHERS = ("#E69F00", "#56B4E9", "#F0E442")
"""The rest of the palette, for what is no rule."""
RULE_DASHES: dict[str, Any] = {
    "multiplicative": "--",
    "exponential": ":",
    "power": "-.",
    "hypentropy": (0, (5, 1, 1, 1, 1, 1)),
}
"""Line styles of the rules; a rule that is not named here has a solid line."""

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "figure.dpi": 120,
    "svg.hashsalt": "gofau",
    "pdf.fonttype": 42,  # TrueType: many publishers refuse matplotlib's Type 3 fonts
}
_given: ContextVar[dict[str, str] | None] = ContextVar("given", default=None)
"""The colours that rules without a fixed one have got in this `styled` block."""


@contextmanager
def styled() -> Iterator[None]:
    """Use our style inside the block; afterwards matplotlib's settings are restored. Also a
    decorator, for functions that draw. Figures are made without pyplot, so no backend has to be
    chosen. All figures of one block give a rule the same colour."""
    before = _given.set({})
    try:
        with mpl.rc_context(STYLE):
            yield
    finally:
        _given.reset(before)


def rule_colour(rule: str) -> str:
    """The rule's colour. Your own rules get the other colours: which one follows from the name, so
    that it is mostly the same in all experiments; where two names would share one, the later gets
    the next that is free in this `styled` block."""
    if rule in RULE_COLOURS:
        return RULE_COLOURS[rule]
    given = _given.get()
    if given is None:
        given = {}
    if rule not in given:
        first = sum(map(ord, rule))
        turned = (OWN_COLOURS[(first + i) % len(OWN_COLOURS)] for i in range(len(OWN_COLOURS)))
        free = (colour for colour in turned if colour not in given.values())
        given[rule] = next(free, _one_more(len(given)))
    return given[rule]


def _one_more(n: int) -> str:
    """A colour for the n-th rule when the palette is used up: steps of the golden ratio around the
    circle of hues never meet."""
    parts = colorsys.hsv_to_rgb(n * 0.618034 % 1, 0.55, 0.75)
    return "#" + "".join(f"{round(255 * part):02X}" for part in parts)


def save_figure(figure: Figure, stem: Path, pdf: bool = True) -> list[Path]:
    """Write ``stem.svg`` and ``stem.png``, and ``stem.pdf`` unless ``pdf`` is False. They have no
    dates, so that a redrawn file is identical. The PDF is for papers, and not kept in git; no page
    shows it, and it takes a third of the time."""
    paths = [stem.with_suffix(suffix) for suffix in (".svg", ".png", *[".pdf"] * pdf)]
    engine = figure.get_layout_engine()
    # Once: a second layout could differ in rounding. What tight_layout() leaves has nothing to do.
    if engine is not None and not isinstance(engine, PlaceHolderLayoutEngine):
        figure.draw_without_rendering()
    # Not "none": that leaves an engine without a task, for which every file is drawn twice.
    figure.set_layout_engine(None)
    figure.savefig(paths[0], metadata={"Date": None, "Creator": None})
    _save_png(figure, paths[1])
    if pdf:
        # It reports every step of putting letters into a PDF, if the program logs at all; its
        # warnings stay.
        logging.getLogger("fontTools").setLevel(logging.WARNING)
        figure.savefig(paths[2], metadata=dict.fromkeys(("CreationDate", "Creator", "Producer")))
    return paths


def _save_png(figure: Figure, path: Path) -> None:
    """Write the figure with at most 256 colours: a third of the bytes, since the pictures are kept
    in git and most of their colours are soft edges of lines and letters. It has a white background
    and no transparency."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=150, pil_kwargs={"compress_level": 0})
    with Image.open(drawn) as picture:
        resolution = picture.info["dpi"]
        few = picture.convert("RGB").quantize(method=Image.Quantize.FASTOCTREE)
    # The octree rounds colours downwards, so white became a very light grey.
    few.putpalette([255 if part == 254 else part for part in few.getpalette() or ()])
    few.save(path, dpi=resolution)
