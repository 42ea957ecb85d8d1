"""The pages of the site and the code blocks in them."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from tests.command_line import ROOT

FENCE = re.compile(r"^(`{3,})(\S*)[^\n]*\n(.*?)^\1$", re.DOTALL | re.MULTILINE)

SET = re.compile(r"^(\w+=\S+ +)+")
"""Environment variables that are set for a command."""


class Block(NamedTuple):
    """A code block of a page: its kind, such as "sh" or "{toctree}", and its text."""

    page: str
    kind: str
    text: str


def pages() -> dict[str, str]:
    """The text of each page of docs/, by its path below docs/."""
    docs = ROOT / "docs"
    found = [*sorted(docs.glob("[!_]*.md")), *sorted(docs.glob("reference/**/*.md"))]
    return {name(path): path.read_text(encoding="utf-8") for path in found}


def name(path: Path) -> str:
    return path.relative_to(ROOT / "docs").as_posix()


def blocks(page: str, text: str) -> list[Block]:
    """The code blocks of a page, from top to bottom."""
    return [Block(page, kind, inside) for _, kind, inside in FENCE.findall(text)]


def every_block() -> list[Block]:
    return [block for page, text in pages().items() for block in blocks(page, text)]


def commands(text: str) -> list[list[str]]:
    """The words of each command of a block of shell, without comments and variables before it."""
    parts = [SET.sub("", part) for line in text.splitlines() for part in line.split(" && ")]
    return [words for words in (shlex.split(part, comments=True) for part in parts) if words]
