"""Fashion-MNIST from its four official IDX files, gzipped or not."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gofau.data.cache import cached
from gofau.data.fetch import fetch
from gofau.data.idx import read_idx
from gofau.data.images import ImageData, Images
from gofau.data.source import how_to_get
from gofau.errors import UserError

FOLDER = Path("FashionMNIST") / "raw"
"""Where torchvision keeps the files, below its root."""


def fashion_mnist(
    data_dir: str | Path, cache_dir: str | Path | None = None, download: bool = True
) -> ImageData:
    """Fashion-MNIST: 60,000 + 10,000 gray images of 28×28, 10 classes of clothes.

    The files are looked for in ``data_dir/FashionMNIST/raw``, where torchvision keeps them, and in
    ``data_dir`` itself; in each, gzipped files come first. Their checksums must be the official
    ones, which torchvision lists. Of files that are already unpacked, only header and size are
    checked.

    Args:
        data_dir: where the files are looked for, and downloaded to.
        cache_dir: where the decoded arrays are kept; None for no cache.
        download: fetch the files (31 MB in all) that are missing.

    Raises:
        UserError: a file is missing and cannot be downloaded, or is damaged.

    Source: Xiao, Rasul, Vollgraf, *Fashion-MNIST*, arXiv 1708.07747.

    Example: ``fashion_mnist("data", cache_dir=".cache")``
    """
    # Imported here: the import takes a second, which other data sets should not pay.
    from torchvision.datasets import FashionMNIST

    folder = Path(data_dir).expanduser()
    sums = dict(FashionMNIST.resources)
    files = {name: _find(name, folder) for name in sums}
    for name, md5 in sums.items():
        if files[name] is None:
            files[name] = _fetch(name, md5, FashionMNIST.mirrors, folder, download)
    found = {name: path for name, path in files.items() if path is not None}
    return cached(
        lambda: _read(found, sums, tuple(FashionMNIST.classes)),
        cache_dir=cache_dir,
        dataset="fashion_mnist",
        source=[*found.values()],
    )


def _find(name: str, folder: Path) -> Path | None:
    plain = name.removesuffix(".gz")
    places = [where / file for where in (folder / FOLDER, folder) for file in (name, plain)]
    return next((path for path in places if path.is_file()), None)


def _fetch(name: str, md5: str, mirrors: list[str], folder: Path, download: bool) -> Path:
    if not download:
        url = f"{mirrors[0]}{name}"
        raise UserError(
            f"There is no {name} in {folder / FOLDER} or {folder}: {how_to_get(url, folder)}"
        )
    *others, last = mirrors
    for mirror in others:
        try:
            return fetch(f"{mirror}{name}", md5, folder / FOLDER)
        except UserError:
            continue
    return fetch(f"{last}{name}", md5, folder / FOLDER)


def _read(
    files: Mapping[str, Path], sums: Mapping[str, str], classes: tuple[str, ...]
) -> ImageData:
    raw = {name: _checked(path, sums[name]) for name, path in files.items()}

    def split(part: str) -> Images:
        images, labels = (f"{part}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1"))
        pixels = read_idx(files[images], raw[images], 3)
        targets = read_idx(files[labels], raw[labels], 1)
        return Images(pixels[..., None], targets.astype(np.int64))

    return ImageData("fashion_mnist", classes, split("train"), split("t10k"))


def _checked(path: Path, md5: str) -> bytes:
    """The bytes of the file; a gzipped file must have the official checksum."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    # The flag says "not for security", so that it works where MD5 is forbidden otherwise.
    actual = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if path.suffix == ".gz" and actual != md5:
        raise UserError(
            f"{path} has the MD5 checksum {actual}, not the official {md5}: delete it, so that it"
            " is fetched again."
        )
    return raw
