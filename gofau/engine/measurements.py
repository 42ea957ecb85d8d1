"""Measurements of this machine, kept on disk, so that all runs decide by the same numbers.

One small JSON file per question, in ``$XDG_CACHE_HOME/gofau/speed`` (``~/.cache/gofau/speed``). The
first process that has an answer publishes it, and all others take it, even those that measured at
the same time: two runs that are compared must not decide differently. To measure again, delete the
folder.
"""

import hashlib
import json
import math
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gofau.runs.files import to_json

Seconds = dict[str, float]

_unkept: dict[str, Seconds] = {}
"""Answers of this process that the disk did not take."""


def measured(question: Mapping[str, Any], measure: Callable[[], Seconds]) -> Seconds:
    """The answer to a question: as it is kept, or else as measured now, and kept.

    Args:
        question: JSON values; everything that the answer depends on.
        measure: returns name → seconds, each > 0.
    """
    text = json.dumps(question, sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:24]
    path = folder() / f"{name}.json"
    found = _read(path) or _unkept.get(name)
    if found is None:
        found = measure()
        try:
            found = _publish(path, {"question": question, "seconds": found})
        except OSError:  # a disk that is full or read-only is no reason to stop
            _unkept[name] = found
    return found


def folder() -> Path:
    """Where measurements are kept; it need not exist."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(root):
        root = os.path.join(os.path.expanduser("~"), ".cache")
    return Path(root, "gofau", "speed")


def _read(path: Path) -> Seconds | None:
    """The seconds in a file; None if there is none, or it is damaged."""
    try:
        seconds = json.loads(path.read_text(encoding="utf-8"))["seconds"]
        valid = all(math.isfinite(value) and value > 0 for value in seconds.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return seconds if seconds and valid else None


def _publish(path: Path, content: dict[str, Any]) -> Seconds:
    """Write a file unless there is a valid one; returns the seconds that are there then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        mine.write_text(to_json(content), encoding="utf-8")
        try:
            os.link(mine, path)  # unlike a rename, it fails if another process was first
        except OSError:
            # There is a file, or the file system has no links.
            theirs = _read(path)
            if theirs is not None:
                return theirs
            os.replace(mine, path)
    finally:
        mine.unlink(missing_ok=True)
    return content["seconds"]
