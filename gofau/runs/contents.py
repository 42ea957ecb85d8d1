"""Hashes of the content of data sets, known without reading the data again.

The arrays are hashed once, when they are read. The hash is kept in the cache folder, together with
a stamp: names, sizes and modification times of the files that they came from. As long as the stamp
is the same, so is the content.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from gofau.runs.files import write_whole

FORMAT = 1
NOT_CONTENT = ("name", "url", "download", "cache_dir")
"""Keys of the dataset section that do not change its content."""


def known(dataset: Mapping[str, Any]) -> str | None:
    """The hash of the content of a dataset section's data; None if it is unknown, or if the files
    have changed or are missing."""
    path = _path(dataset)
    if path is None:
        return None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return said["content"] if said["stamp"] == _stamp(tuple(said["source"])) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(dataset: Mapping[str, Any], sources: Sequence[Path], content: str) -> None:
    """Store the hash of data that was just read from ``sources``, files or folders. Without a cache
    folder, or without sources, every process computes the hash again."""
    path = _path(dataset)
    if path is None or not sources:
        return
    try:
        whole = [str(source.resolve()) for source in sources]
        path.parent.mkdir(parents=True, exist_ok=True)
        said = {"source": whole, "stamp": _take(tuple(whole)), "content": content}
        write_whole(path, json.dumps(said))
    except OSError:  # a cache that cannot be written is no reason to stop
        return


def _path(dataset: Mapping[str, Any]) -> Path | None:
    if not dataset.get("cache_dir"):
        return None
    what = {k: str(v) for k, v in dataset.items() if k not in NOT_CONTENT}
    what["data_dir"] = os.path.abspath(os.path.expanduser(what.get("data_dir", "")))
    text = json.dumps({"format": FORMAT, "here": os.getcwd(), **what}, sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:24]
    return Path(dataset["cache_dir"]).expanduser() / "contents" / f"{name}.json"


@cache
def _stamp(sources: tuple[str, ...]) -> str:
    """The stamp of these files; cached, since listing a folder of 50,000 images takes a while."""
    return _take(sources)


def _take(sources: tuple[str, ...]) -> str:
    """Hash the paths, sizes and modification times of all files in ``sources``."""
    found = hashlib.sha256()
    for path in (file for source in sources for file in _files(Path(source))):
        status = path.stat()
        line = f"{path}\t{status.st_size}\t{status.st_mtime_ns}\n"
        found.update(line.encode(errors="surrogateescape"))
    return found.hexdigest()


def _files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    walk = os.walk(source, followlinks=True)
    return sorted(Path(folder, name) for folder, _, names in walk for name in names)
