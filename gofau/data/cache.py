"""Cache of decoded images: .npy files that later runs map into memory without decoding."""

import hashlib
import json
import logging
import os
import shutil
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path

import numpy as np

from gofau.data.images import ImageData, Images
from gofau.data.source import fingerprint, open_source
from gofau.errors import UserError

log = logging.getLogger(__name__)

# Increase it when a data set's decoding changes: old entries are then no longer found.
FORMAT = 1
_ARRAYS = ("train_pixels", "train_labels", "test_pixels", "test_labels")


_looking: ContextVar[bool] = ContextVar("looking", default=False)


class Found(Exception):
    """Raised inside `looking`: the data exists, and nothing else was asked."""


@contextmanager
def looking() -> Iterator[None]:
    """In this block data is located but not read: where `cached` would decode, it raises `Found`,
    or `UserError` if the source is not a complete archive."""
    token = _looking.set(True)
    try:
        yield
    finally:
        _looking.reset(token)


def cached(
    decode: Callable[[], ImageData],
    *,
    cache_dir: str | Path | None,
    dataset: str,
    source: Path | Sequence[Path],
    options: Mapping[str, object] | None = None,
) -> ImageData:
    """What ``decode()`` returns, from the cache if it is there, with its ``source`` filled in.

    An entry is a folder named after a hash of the format, the data set, the sources' names, sizes
    and modification times, and the options. It is written to a temporary folder and renamed, so any
    number of processes may do this at once. An entry that is incomplete or was not written for this
    key is decoded again and replaced.

    Args:
        decode: reads and decodes the data, which is slow; called only when needed.
        cache_dir: where entries are kept; None for no cache. If it cannot be written, a warning is
            logged and the images are used without a cache.
        dataset: name of the data set.
        source: the file or folder that is decoded, or several.
        options: whatever else changes the result (JSON values).

    Raises:
        UserError: the source cannot be read, or whatever ``decode`` raises.
    """
    if _looking.get():
        _look_at(source)
        raise Found
    if cache_dir is None:
        return replace(decode(), source=source)
    key = {
        "format": FORMAT,
        "dataset": dataset,
        "source": _identify(source),
        "options": dict(options or {}),
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    entry = Path(cache_dir).expanduser() / f"{dataset}-{digest[:24]}"
    data = _load(entry, key)
    if data is not None:
        log.info("%s: read from the cache %s", data.name, entry)
        return replace(data, source=source)
    files = source if isinstance(source, Path) else source[0].parent
    log.info("%s: decoding %s (once)", dataset, files)
    data = decode()
    try:
        _store(entry, key, data)
    except OSError as error:
        log.warning("No cache was written in %s (%s); continuing without one.", cache_dir, error)
    return replace(data, source=source)


def _look_at(source: Path | Sequence[Path]) -> None:
    for path in [source] if isinstance(source, Path) else source:
        if path.suffix == ".zip":
            # The list of files is at the end of a zip, so opening it finds one that is cut off.
            with open_source(path, ()):
                pass
        fingerprint(path)


def _identify(source: Path | Sequence[Path]) -> list[object]:
    """What identifies the source or sources: it changes when one of them does."""
    # A single source keeps the form of the first caches, so that their entries are still found.
    if isinstance(source, Path):
        return [source.name, fingerprint(source)]
    return [[path.name, fingerprint(path)] for path in source]


def _load(entry: Path, key: dict[str, object]) -> ImageData | None:
    """The entry, or None when it is missing or is not exactly what was written for this key."""
    try:
        meta = json.loads((entry / "meta.json").read_bytes())
        if meta["key"] != key:
            return None
        # A checksum costs less than reading the bytes, and finds what a crash left incomplete.
        if any(_checksum(_file(entry, name)) != meta["crc32"][name] for name in _ARRAYS):
            return None
        # "c", copy-on-write: all processes share one copy of the pages. A tensor on a read-only map
        # would be undefined behaviour; here a write (there is none) would stay in the process.
        train_pixels, train_labels, test_pixels, test_labels = (
            np.load(_file(entry, name), mmap_mode="c", allow_pickle=False) for name in _ARRAYS
        )
        train = Images(train_pixels, np.array(train_labels))
        test = Images(test_pixels, np.array(test_labels))
        return ImageData(meta["name"], tuple(meta["classes"]), train, test)
    except (OSError, EOFError, ValueError, KeyError, TypeError, UserError):
        return None


def _store(entry: Path, key: dict[str, object], data: ImageData) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile: only their owner can read its folders, and colleagues may share a cache.
    temporary = entry.parent / f".{entry.name}-{uuid.uuid4().hex}"
    temporary.mkdir()
    try:
        _write(temporary, key, data)
        _publish(temporary, entry, key)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(folder: Path, key: dict[str, object], data: ImageData) -> None:
    parts = (data.train.pixels, data.train.labels, data.test.pixels, data.test.labels)
    sums = {}
    for name, array in zip(_ARRAYS, parts, strict=True):
        with _file(folder, name).open("wb") as stream:
            np.save(stream, array, allow_pickle=False)
            stream.flush()
            # On disk before the rename: a power cut must not leave an entry with empty files.
            os.fsync(stream.fileno())
        sums[name] = _checksum(_file(folder, name))
    meta = {"key": key, "name": data.name, "classes": data.classes, "crc32": sums}
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def _publish(temporary: Path, entry: Path, key: dict[str, object]) -> None:
    """Rename the temporary folder to the entry. An entry that exists already and is valid stays:
    another process was first. One that is not is renamed before it is removed, since another
    process may be reading it."""
    try:
        temporary.rename(entry)
        return
    except OSError:
        # Any other reason, such as missing write permission, makes the rename below fail as well.
        if _load(entry, key) is not None:
            return
    damaged = temporary.with_name(f"{temporary.name}-damaged")
    entry.rename(damaged)
    try:
        temporary.rename(entry)
    finally:
        if damaged.is_dir():
            shutil.rmtree(damaged, ignore_errors=True)
        else:
            damaged.unlink()


def _file(entry: Path, name: str) -> Path:
    return entry / f"{name}.npy"


def _checksum(path: Path) -> int:
    total = 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            total = zlib.crc32(block, total)
    return total
