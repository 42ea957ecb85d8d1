"""Rows → csv files: the same bytes for the same rows, replaced whole, never half-written."""

import csv
import gzip
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gofau.runs.files import write_whole


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], digits: int = 4) -> None:
    """Write rows under the names of the first one, floats with so many significant digits; packed
    where ``path`` ends in ``.gz``. Folders are made where they are missing."""
    rows, form = list(rows), f".{digits}g"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows(
        [format(v, form) if isinstance(v, float) else v for v in row.values()] for row in rows
    )
    data = text.getvalue().encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
