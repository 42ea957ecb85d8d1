"""Docstrings as they are written here, made into the reST that Sphinx reads.

They are plain text that is read in an editor: names in single backticks, formulas in Unicode, |θ|
for an absolute value. Four things of it mean something else in reST, or nothing:

- an equation at the beginning becomes a formula in LaTeX (`docs._ext.formulas`);
- a block of formulas, which is indented, keeps its lines;
- a | is an absolute value, not a substitution;
- a name in backticks becomes a link if it is on a page, and code if not.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sphinx.application import Sphinx

from docs._ext.formulas import equation

CODE = re.compile(r"(``.+?``)")
SECTION = re.compile(r"(Args|Attributes|Example|Raises|Returns|Yields):$")
AFTER = " ,.:;"
"""What may separate the formula from the words after it."""


def rest(docstring: Sequence[str]) -> list[str]:
    """The lines of a docstring as lines of reST."""
    return list(_escaped(_blocks(_formula(docstring))))


def _formula(lines: Sequence[str]) -> list[str]:
    """The equation at the beginning as a display formula, then the rest of its paragraph."""
    end = next((i for i, line in enumerate(lines) if not line.strip()), len(lines))
    paragraph = " ".join(line.strip() for line in lines[:end])
    found = equation(paragraph)
    if found is None:
        return [*lines]
    words = paragraph[found.end :].lstrip(AFTER)
    return ["", f".. math:: {found.text}", "", _as_a_sentence(words), *lines[end:]]


def _as_a_sentence(words: str) -> str:
    """With a capital, but for a symbol at the beginning, such as v_t."""
    first = words.partition(" ")[0]
    return words if "_" in first or len(first) == 1 else words[:1].upper() + words[1:]


def _blocks(lines: list[str]) -> Iterator[str]:
    """Mark what is indented by itself as a block that keeps its lines. Sections (Args: …), lists
    and definitions indent their text for other reasons."""
    previous, opened, section = "", False, False
    for i, line in enumerate(lines):
        indented = line.startswith("    ")
        if line.strip() and not indented:
            opened = False
            section = bool(SECTION.match(line)) or (section and line.startswith(" "))
        starts = indented and i and not lines[i - 1].strip() and not previous.startswith(" ")
        if starts and not section and not previous.endswith("::") and not opened:
            opened = True
            if not previous.startswith((".. ", "- ")):
                yield from ("::", "")
        if line.strip():
            previous = line
        yield line.replace("``", "") if opened else line


def _escaped(lines: Iterator[str]) -> Iterator[str]:
    """Escape | outside code, literal blocks and examples."""
    literal = False
    for line in lines:
        if line.strip() and not line.startswith(" "):
            literal = False
        if line.strip().endswith("::"):
            literal = True
        if literal or line.startswith(".. ") or line.lstrip().startswith(">>>"):
            yield line
        else:
            parts = CODE.split(line)
            yield "".join(x if x.startswith("``") else x.replace("|", r"\|") for x in parts)


def process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = rest(lines)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", process, priority=100)  # before napoleon reads Args:
    return {"parallel_read_safe": True, "parallel_write_safe": True}
