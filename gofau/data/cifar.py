"""CIFAR-10 and CIFAR-100 in their official Python format, from the archive or its folder."""

import hashlib
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gofau.data.cache import cached
from gofau.data.fetch import fetch
from gofau.data.images import ImageData, Images
from gofau.data.pickles import ARRAYS, unpickle
from gofau.data.source import find
from gofau.errors import UserError


def cifar10(
    data_dir: str | Path, cache_dir: str | Path | None = None, download: bool = True
) -> ImageData:
    """CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 RGB images of 32×32, 10 classes.

    Args:
        data_dir: holds ``cifar-10-python.tar.gz`` or the folder ``cifar-10-batches-py``.
        cache_dir: where the decoded arrays are kept; None for no cache.
        download: fetch the archive (170 MB) if neither exists.

    Raises:
        UserError: the data is missing and cannot be downloaded, or a file of it is damaged.

    Example: ``cifar10("data", cache_dir=".cache")``
    """
    # Imported in the function: the import takes a second, which other data sets should not pay.
    from torchvision.datasets import CIFAR10

    return _cifar("cifar10", CIFAR10, "labels", data_dir, cache_dir, download)


def cifar100(
    data_dir: str | Path, cache_dir: str | Path | None = None, download: bool = True
) -> ImageData:
    """CIFAR-100 with its 100 fine labels: 50,000 + 10,000 RGB images of 32×32.

    Args:
        data_dir: holds ``cifar-100-python.tar.gz`` or the folder ``cifar-100-python``.
        cache_dir: where the decoded arrays are kept; None for no cache.
        download: fetch the archive (169 MB) if neither exists.

    Raises:
        UserError: the data is missing and cannot be downloaded, or a file of it is damaged.

    Example: ``cifar100("data", cache_dir=".cache")``
    """
    from torchvision.datasets import CIFAR100

    return _cifar("cifar100", CIFAR100, "fine_labels", data_dir, cache_dir, download)


def _cifar(
    name: str,
    official: Any,
    label_key: str,
    data_dir: str | Path,
    cache_dir: str | Path | None,
    download: bool,
) -> ImageData:
    """Read the data set of torchvision's class ``official``. Only its lists of files and checksums
    are used, not its loader: that extracts the archive, which several processes cannot do at
    once."""
    try:
        # The archive first: a folder may be left over from an interrupted extraction.
        source = find([official.filename, official.base_folder], data_dir, official.url)
    except UserError:
        if not download:
            raise
        source = fetch(official.url, official.tgz_md5, data_dir)
    return cached(
        lambda: _read(name, official, label_key, source),
        cache_dir=cache_dir,
        dataset=name,
        source=source,
    )


def _read(name: str, official: Any, label_key: str, source: Path) -> ImageData:
    meta = official.meta
    train = dict(official.train_list)
    test = dict(official.test_list)
    wanted = {**train, **test, meta["filename"]: meta["md5"]}
    raw = _read_folder(source, wanted) if source.is_dir() else _read_archive(source, wanted)
    for file, md5 in wanted.items():
        _verify(source, file, raw.get(file), md5, official.url)
    # Pickles are opened only here, after all checksums have been verified.
    classes = unpickle(raw[meta["filename"]], ARRAYS)[meta["key"]]
    return ImageData(
        name,
        tuple(classes),
        _join([unpickle(raw[file], ARRAYS) for file in train], label_key),
        _join([unpickle(raw[file], ARRAYS) for file in test], label_key),
    )


def _read_folder(folder: Path, wanted: Mapping[str, str]) -> dict[str, bytes]:
    return {file: (folder / file).read_bytes() for file in wanted if (folder / file).is_file()}


def _read_archive(path: Path, wanted: Mapping[str, str]) -> dict[str, bytes]:
    found = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                file = member.name.rsplit("/", 1)[-1]
                if file in wanted and (stream := archive.extractfile(member)) is not None:
                    found[file] = stream.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"{path} is not a complete .tar.gz archive ({error}): delete it, so that it is fetched "
            "again."
        ) from error
    return found


def _verify(source: Path, file: str, raw: bytes | None, md5: str, url: str) -> None:
    if raw is None:
        raise UserError(f"{source} lacks the file {file}: delete it and fetch {url} again.")
    # The flag says "not for security", so that it works where MD5 is forbidden otherwise.
    actual = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if actual != md5:
        raise UserError(
            f"{file} in {source} has the MD5 checksum {actual}, not the official {md5}, and was "
            f"not opened: delete it and fetch {url} again."
        )


def _join(batches: list[dict[str, Any]], label_key: str) -> Images:
    # A row is 32·32 values of red, then of green, then of blue.
    planes = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([np.asarray(batch[label_key], dtype=np.int64) for batch in batches])
    return Images(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels)
