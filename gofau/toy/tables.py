"""Rows → csv files: the same bytes for the same rows, and never half a file."""

import csv
import gzip
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


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
