"""Completes pages when they are read: what is generated, and links to results that may not be there
yet. The files themselves stay as they are."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from docs._ext import experiments, reference, speed
from docs._ext.diagram import drawn
from docs._ext.sources import CONFIGS, ROOT

MARKER = re.compile(r"<!-- generated: (\w+)(?: (\w+))? -->")
MADE: Mapping[str, Callable[..., str]] = {
    "directions": reference.directions,
    "formulas": reference.formulas,
    "rules": reference.rules,
    "rule": reference.rule,
    "stepsizes": reference.stepsizes,
    "stepsize": reference.stepsize,
    "post_steps": reference.post_steps,
    "optimizers": reference.optimizers,
    "optimizer": reference.optimizer,
    "problems": reference.problems,
    "functions": reference.functions,
    "paper": experiments.paper,
    "slides": experiments.slides,
    "ours": experiments.ours,
    "contents": experiments.contents,
    "accuracies": experiments.accuracies,
    "verdicts": experiments.verdicts,
    "finding": experiments.found,
    "speed": speed.measured,
}
"""What ``<!-- generated: NAME -->`` is replaced by, or ``<!-- generated: NAME OF_WHAT -->``."""
ORPHAN = "---\norphan: true\n---\n"
"""Says to Sphinx that a page is not in the navigation."""
RESULT = re.compile(r"\[([^]]+)\]\(((?:\.\./)*results/(\w+)/[^)]*)\)")


def complete(text: str, page: Path) -> str:
    """The text of a page as the site shows it."""
    text = drawn(MARKER.sub(_made, text))
    folder = page.parent
    if folder.parent == ROOT / "experiments":
        listed = page.name == "README.md" and not folder.name.startswith((*experiments.TWINS,))
        text = text if listed else ORPHAN + text
        text += experiments.records(folder.name) if page.name == "README.md" else ""
    elif folder.parent == ROOT / "results":
        text = _titled(text, page)
    return RESULT.sub(lambda m: _linked(m, folder), text)


def _made(marker: re.Match[str]) -> str:
    name, of_what = marker.groups()
    return MADE[name](*([of_what] if of_what else []))


def _titled(text: str, page: Path) -> str:
    """A table with a title, so that the site can list it, and with the name of its experiment."""
    folder = page.parent.name
    if not text.startswith("# "):
        return f"{ORPHAN}# {folder}: {page.stem}\n\n{text}"
    title, _, rest = text.partition("\n")
    return f"{ORPHAN}{title} ({folder})\n\n{rest}"


def _linked(link: re.Match[str], folder: Path) -> str:
    """The link, or its text where the result is not there; it must be that of an experiment."""
    text, target, name = link.groups()
    known = (CONFIGS / "experiment" / f"{name}.yaml").exists()
    if (folder / target).exists() or not known:
        return link[0]
    return f"{text} ({experiments.NOTHING})"


def read(app: Sphinx, name: str, source: list[str]) -> None:
    source[0] = complete(source[0], Path(app.env.doc2path(name)))


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
