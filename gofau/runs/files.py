"""Files that are never half-written, and csv files that only grow."""

import csv
import json
import math
import os
from pathlib import Path
from typing import Any


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a file so that readers, and a crash, see the old one or the new one.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "x"
    >>> write_whole(path, "whole"); path.read_text()
    'whole'
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as f:
            f.write(data.encode() if isinstance(data, str) else data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """The new name, too, is to outlive a power cut; not every file system can be asked for that."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Add a row to a csv file; the first brings the header."""
    with open(path, "a", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, fieldnames=list(row))
        if f.tell() == 0:
            writer.writeheader()
        writer.writerow(row)


def keep_rows(path: Path, column: str, last: int) -> None:
    """Drop the rows of a csv file beyond ``column == last``, and one that a crash tore: what comes
    after a checkpoint is done again when a run goes on from it."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError:
        return
    kept = lines[:1] if lines and lines[0].endswith("\n") else []
    for line in lines[1:]:
        row = dict(zip(next(csv.reader(lines[:1])), next(csv.reader([line])), strict=False))
        if line.endswith("\n") and row.get(column, "").isdigit() and int(row[column]) <= last:
            kept.append(line)
    if len(kept) < 2:
        path.unlink()
    elif kept != lines:
        write_whole(path, "".join(kept))


def to_json(value: Any) -> str:
    """Strict JSON, which has no NaN: a number that is not finite is null."""
    return json.dumps(_strict(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strict(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
