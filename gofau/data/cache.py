"""Images decoded once and kept as .npy files, which later runs map into memory at no cost."""

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

# Raise it when a data set's decoding changes: old entries are then not found any more.
FORMAT = 1
_ARRAYS = ("train_pixels", "train_labels", "test_pixels", "test_labels")


_looking: ContextVar[bool] = ContextVar("looking", default=False)


class Found(Exception):
    """The data is there, and that was all that was asked (`looking`)."""


@contextmanager
def looking() -> Iterator[None]:
    """In this block data is found and not read: `cached` raises `Found` where it would decode, or
    the `UserError` of a source that is no whole archive."""
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
    """What ``decode()`` returns, from the cache when it is there; it says where it came from.

    An entry is a folder named by a hash of the format, the data set, the sources' names, sizes and
    modification times, and the options. It is written aside and renamed, so any number of processes
    may do this at once; an entry that is torn or not ours is decoded anew and replaced.

    Args:
        decode: the slow way; called only when needed.
        cache_dir: where entries are kept; None for no cache. When it cannot be written, a warning
            is logged and the images are used without.
        dataset: name of the data set.
        source: the file or folder that is decoded, or several.
        options: what else changes the result (JSON values).

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
        log.warning("No cache was written in %s (%s); going on without.", cache_dir, error)
    return replace(data, source=source)


def _look_at(source: Path | Sequence[Path]) -> None:
    for path in [source] if isinstance(source, Path) else source:
        if path.suffix == ".zip":
            with open_source(path, ()):
                pass  # its list of files, which stands at its end
        fingerprint(path)


def _identify(source: Path | Sequence[Path]) -> list[object]:
    """Changes when a source does. What one source is identified by is as old as the caches."""
    if isinstance(source, Path):
        return [source.name, fingerprint(source)]
    return [[path.name, fingerprint(path)] for path in source]


def _load(entry: Path, key: dict[str, object]) -> ImageData | None:
    """The entry, or None when it is missing or is not exactly what was written for this key."""
    try:
        meta = json.loads((entry / "meta.json").read_bytes())
        if meta["key"] != key:
            return None
        # A sum over the bytes costs less than reading them does, and finds what a crash tore.
        if any(_checksum(_file(entry, name)) != meta["crc32"][name] for name in _ARRAYS):
            return None
        # "c": one copy of the pages for all processes, and a tensor over them is no undefined
        # behaviour, since what is written (nothing, here) would stay in the process.
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
    # Not tempfile: its folders are private, and colleagues may share a cache.
    aside = entry.parent / f".{entry.name}-{uuid.uuid4().hex}"
    aside.mkdir()
    try:
        _write(aside, key, data)
        _publish(aside, entry, key)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write(folder: Path, key: dict[str, object], data: ImageData) -> None:
    parts = (data.train.pixels, data.train.labels, data.test.pixels, data.test.labels)
    sums = {}
    for name, array in zip(_ARRAYS, parts, strict=True):
        with _file(folder, name).open("wb") as stream:
            np.save(stream, array, allow_pickle=False)
            stream.flush()
            # On disk before the rename is: a power cut must not leave a name without its bytes.
            os.fsync(stream.fileno())
        sums[name] = _checksum(_file(folder, name))
    meta = {"key": key, "name": data.name, "classes": data.classes, "crc32": sums}
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def _publish(aside: Path, entry: Path, key: dict[str, object]) -> None:
    """Give the entry its name. A folder that has it already stays when it is good: another process
    was first. Otherwise it is moved out of the way, never emptied under a reader's hands."""
    try:
        aside.rename(entry)
        return
    except OSError:
        # Any other reason, such as a folder that may not be written, comes up again below.
        if _load(entry, key) is not None:
            return
    spoilt = aside.with_name(f"{aside.name}-spoilt")
    entry.rename(spoilt)
    try:
        aside.rename(entry)
    finally:
        if spoilt.is_dir():
            shutil.rmtree(spoilt, ignore_errors=True)
        else:
            spoilt.unlink()


def _file(entry: Path, name: str) -> Path:
    return entry / f"{name}.npy"


def _checksum(path: Path) -> int:
    total = 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            total = zlib.crc32(block, total)
    return total
