"""Writes bench.csv, one row per measurement, and bench.md, which is made only from it."""

import csv
from collections.abc import Iterable
from pathlib import Path

from .rows import Row

Cells = dict[str, str]
TITLES = {
    "images": "Images per second, beside a plain loop",
    "shares": "Where a training step's time goes",
    "stepsizes": "What a step size adds to a step",
    "sweep": "Sweeps of short runs",
    "startup": "From the command to the first step",
    "status": "Reading the records of many runs",
    "accuracy": "What bfloat16 and compilation do to accuracy",
    "gpu": "On the GPU",
}


def keep(path: Path, section: str, rows: list[Row], facts: dict[str, object]) -> list[Cells]:
    """Write a section's rows into the table at ``path``. Rows of other sections stay, with the
    facts that they were measured under. Returns the whole table."""
    old = []
    if path.exists():
        with open(path, newline="", encoding="utf-8") as f:
            old = [row for row in csv.DictReader(f) if row["section"] != section]
    new = [
        {k: str(v) for k, v in ({"section": section} | row.cells() | facts).items()} for row in rows
    ]
    order = [*TITLES]
    table = sorted([*old, *new], key=lambda row: order.index(row["section"]))
    names = list(dict.fromkeys(name for row in [*new, *table] for name in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, fieldnames=names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    return table


def markdown(table: list[Cells], facts: Iterable[str]) -> str:
    """The table as a page: the goals first, then one table per section."""
    lines = ["# Cost of training", "", *_goals(table)]
    for section, title in TITLES.items():
        rows = [row for row in table if row["section"] == section]
        if rows:
            lines += ["", f"## {title}", "", _under(rows[0], facts), "", *_table(rows)]
    return "\n".join(lines) + "\n"


def _under(row: Cells, facts: Iterable[str]) -> str:
    return "; ".join(f"{key}: {row.get(key, '')}" for key in facts)


def _goals(table: list[Cells]) -> list[str]:
    rows = [row for row in table if row["goal"]]
    if not rows:
        return ["No goal is measured here."]
    met = sum(row["met"] == "met" for row in rows)
    lines = [f"{met} of {len(rows)} goals met.", "", "| goal | | found | |", "|---|---|---:|---|"]
    for row in rows:
        lines.append(_line(row["name"], row["goal"], measured(row), row["met"]))
    return lines


def _table(rows: list[Cells]) -> list[str]:
    lines = ["| measured | value | ratio | to | goal | | |", "|---|---:|---:|---|---|---|---|"]
    for row in rows:
        cells = (row["name"], measured(row), number(row["ratio"]), row["ratio_to"])
        lines.append(_line(*cells, row["goal"], row["met"], row["note"]))
    return lines


def _line(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def measured(row: Cells) -> str:
    """Format value and unit."""
    return f"{number(row['value'])} {row['unit']}" if row["value"] else "—"


def number(text: str) -> str:
    """Format a number to read.

    >>> number("12345.6"), number("0.012345"), number("")
    ('12,346', '0.0123', '')
    """
    if not text:
        return ""
    value = float(text)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
