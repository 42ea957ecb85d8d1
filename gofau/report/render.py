"""A table, and its forms: Markdown, LaTeX (booktabs) and csv."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from gofau.report.types import Frame


@dataclass(frozen=True)
class Cell:
    """One entry. A column is sorted by ``number``, or by the text where it is None."""

    text: str
    bold: bool = False
    number: float | None = None


@dataclass(frozen=True)
class TableRow:
    """One row. ``tags`` say what it is about (dataset, model, optimizer, rule), for the page's
    filters."""

    cells: tuple[Cell, ...]
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table to read (``columns``, ``rows``) and the same numbers for programs (``data``).

    ``name`` is the stem of its files. ``column_rules`` maps each column about one rule to the rule.
    """

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    data: Frame
    column_rules: dict[str, str] = field(default_factory=dict)


def markdown(table: Table) -> str:
    """The table as a Markdown page: title, table, note."""
    lines = [
        "| " + " | ".join(table.columns) + " |",
        "|" + "---|" * len(table.columns),
        *("| " + " | ".join(map(_markdown_cell, row.cells)) + " |" for row in table.rows),
    ]
    return f"# {table.title}\n\n" + "\n".join(lines) + f"\n\n{table.note}\n"


def _markdown_cell(cell: Cell) -> str:
    text = cell.text.replace("|", "\\|")
    return f"**{text}**" if cell.bold else text


LATEX = {
    "\\": r"\textbackslash{}",
    **{c: "\\" + c for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "✕": r"$\dagger$",
    "⊘": r"$\oslash$",
    "−": "$-$",
    "…": r"\dots{}",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "≈": r"$\approx$",
    "<": "$<$",
    ">": "$>$",
    "–": "--",
    "α": r"$\alpha$",
    "γ": r"$\gamma$",
    "η": r"$\eta$",
    "·": r"$\cdot$",
}


def escape(text: str) -> str:
    r"""Escape a text for LaTeX, with symbols in math mode.

    >>> escape("a_b: 1 ± 2 %")
    'a\\_b: 1 $\\pm$ 2 \\%'
    """
    return "".join(LATEX.get(character, character) for character in text)


def latex(table: Table) -> str:
    r"""The table as a ``tabular`` for ``\input``; it needs the package booktabs. Title and note are
    comments."""
    rows = [
        " & ".join(rf"\textbf{{{escape(c.text)}}}" if c.bold else escape(c.text) for c in row.cells)
        for row in table.rows
    ]
    head = [f"% {table.title}", *(f"% {line}" for line in table.note.splitlines() if line)]
    body = [
        rf"\begin{{tabular}}{{{'l' * len(table.columns)}}}",
        r"\toprule",
        " & ".join(map(escape, table.columns)) + r" \\",
        r"\midrule",
        *(row + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join([*head, *body]) + "\n"


def save_table(table: Table, folder: Path) -> list[Path]:
    """Write ``<name>.md``, ``.tex`` and ``.csv``; the same table always gives the same bytes."""
    texts = {
        ".md": markdown(table),
        ".tex": latex(table),
        ".csv": table.data.to_csv(index=False, lineterminator="\n", float_format="%.6g"),
    }
    for suffix, text in texts.items():
        (folder / f"{table.name}{suffix}").write_text(text, encoding="utf-8")
    return [folder / f"{table.name}{suffix}" for suffix in texts]


def number(value: float, digits: int = 2, sign: bool = False) -> str:
    """Format a number, with a true minus sign (−); NaN is ``–``.

    >>> number(-0.5), number(1.0, sign=True), number(float("nan"))
    ('−0.50', '+1.00', '–')
    """
    if math.isnan(value):
        return "–"
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "−")
