"""Rows → csv files: the same bytes for the same rows, replaced whole, never half-written."""

import csv
import gzip
import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """What a task measured.

    Attributes:
        cells: the rows of ``cells.csv``, without provenance.
        files: the rows of the other files, by name.
        value: one number for the whole task.
        label: what that number is.
    """

    cells: list[dict[str, Any]]
    files: dict[str, list[Row]]
    value: float
    label: str


def write(path: Path, rows: Iterable[Row], digits: int = 4) -> None:
    """Write rows under the names of the first one, floats with so many significant digits; packed
    where ``path`` ends in ``.gz``."""
    rows, form = list(rows), f".{digits}g"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows(
        [format(v, form) if isinstance(v, float) else v for v in row.values()] for row in rows
    )
    data = text.getvalue().encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    os.replace(part, path)
