"""Writing files so that a crash never leaves them half-written, and appending to csv files."""

import csv
import json
import math
import os
from pathlib import Path
from typing import Any


def write_whole(path: Path, data: str | bytes, lasting: bool = True) -> None:
    """Write a file atomically: readers see the old or the new content, even after a crash.

    Args:
        lasting: whether that holds for a power failure, too. It waits for the disk, so not for what
            is soon written again, or is given to `make_lasting` later.

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
            if lasting:  # before the rename: else the new name could be left with an empty file
                os.fsync(f.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if lasting:
        _sync(path.parent)  # the rename itself


def make_lasting(*paths: Path) -> None:
    """Make the content of those files that exist survive a power failure."""
    for path in paths:
        _sync(path)


def _sync(path: Path) -> None:
    """Write a file, or the names in a folder, to the disk. Some file systems cannot do it for
    folders."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Append a row to a csv file; the first row also writes the header."""
    with open(path, "a", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, fieldnames=list(row))
        if f.tell() == 0:
            writer.writeheader()
        writer.writerow(row)


def keep_rows(path: Path, column: str, last: int) -> None:
    """Drop the rows of a csv file with ``column`` > ``last``, and a row that a crash left
    incomplete: a run that resumes from a checkpoint repeats what came after it."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError:
        return
    # A line without its end was being written when the process died.
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
    """Encode as strict JSON, which has no NaN: numbers that are not finite become null."""
    return json.dumps(_strict(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strict(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
