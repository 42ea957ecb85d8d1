"""Results that are no records of runs: their Markdown pages, as tables for the page.

Toys, measurements and benchmarks write pages of their own, each in its own form. They are read back
here, so that they appear on the page without a second way to make each of them.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from gofau.report.render import Cell, Table, TableRow

ABOUT = {
    "fig1_toy_paths": "Paths of the rules in two variables",
    "fig2_toy_starts": "Distances from many starts, two variables",
    "tab1_toy": "Scores in two variables",
    "toy_tuned": "Tuned rules in two variables",
    "toy_random": "Randomly drawn configurations in two variables",
    "descent": "Measured against predicted decrease of the loss",
    "weight_distribution": "The distribution of the weights",
    "bench_optim": "Benchmark: the cost of an optimizer step",
    "bench_train": "Benchmark: the cost of training",
    "bench_toy": "Benchmark: many descents at once",
}
_NUMBER = re.compile(r"[<>≤≥]?\s*([+−-]?\d[\d,]*\.?\d*(?:e[+-]?\d+)?)")


def written(folder: Path, known: Mapping[str, Collection[str]]) -> list[Table]:
    """The tables on all Markdown pages of a folder; text around a table is its note.

    Args:
        known: the values of the filters. A row whose columns ``optimizer`` and ``rule`` hold one of
            them is filtered by it.
    """
    return [
        table
        for path in sorted(folder.glob("*.md"))
        for table in tables_in(path.read_text(encoding="utf-8"), path.stem, known)
    ]


def tables_in(text: str, name: str, known: Mapping[str, Collection[str]]) -> list[Table]:
    """The tables in a Markdown text, each with the heading above it.

    >>> text = "# Costs\\n\\n| a | b |\\n|---|---|\\n| x | **2.5** |\\n\\nA note."
    >>> [table] = tables_in(text, "page", {})
    >>> table.title, table.columns, table.rows[0].cells[1].number, table.note
    ('Costs', ('a', 'b'), 2.5, 'A note.')
    """
    found: list[Table] = []
    title, notes, lines, before = "", [], [], ""

    def close() -> None:
        if lines or notes:
            found.append(_table(f"{name}-{len(found)}", title, notes, lines, known))
            notes.clear()
            lines.clear()

    for line in [*text.splitlines(), "#"]:
        if line.startswith("#") or (lines and line.startswith("|") and not before.startswith("|")):
            close()
        if line.startswith("#"):
            title = line.strip("# ")
        elif line.startswith("|"):
            lines.append(line)
        elif line.strip() or notes:
            notes.append(_plain(line))
        before = line
    return found


def _table(
    name: str, title: str, notes: list[str], lines: list[str], known: Mapping[str, Collection[str]]
) -> Table:
    cells = [[_plain(part) for part in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    head, body = (tuple(cells[0]), cells[2:]) if cells else ((), [])
    rows = []
    for texts in body:
        about = dict(zip(head, texts, strict=False))
        named = {axis: about.get(axis, "").lower().split(" (")[0] for axis in ("optimizer", "rule")}
        tags = {axis: value for axis, value in named.items() if value in known.get(axis, ())}
        rows.append(TableRow(tuple(_cell(text) for text in texts), tags))
    return Table(name, title, "\n".join(notes).strip(), head, tuple(rows), pd.DataFrame())


def _plain(text: str) -> str:
    return re.sub(r"\\([*|_])", r"\1", text.strip())


def _cell(text: str) -> Cell:
    bold = text.startswith("**") and text.endswith("**") and len(text) > 4
    text = text[2:-2] if bold else text
    number = _NUMBER.match(text)
    value = float(number[1].replace("−", "-").replace(",", "")) if number else None
    return Cell(text, bold, value)
