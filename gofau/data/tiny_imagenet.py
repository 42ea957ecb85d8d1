"""Tiny ImageNet in its official layout, from the zip, its folder, or a zip of a part of it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gofau.data.cache import cached
from gofau.data.decode import decode, is_image
from gofau.data.fetch import fetch
from gofau.data.images import ImageData, Images
from gofau.data.source import Source, find, open_source
from gofau.errors import UserError

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
ARCHIVES = ("tiny-imagenet-200.zip", "tiny-imagenet-200", "tiny-imagenet-200-subset150.zip")


def locate(
    archive: str | Sequence[str] = ARCHIVES, data_dir: str | Path = "data", download: bool = True
) -> Path:
    """The archive that ``tiny_imagenet`` would read; the official one is downloaded if none exists.
    It may be the full data or a subset, so a run's identity says which.

    Raises:
        UserError: none exists and the download failed; the message says what to fetch and where to
            put it.
    """
    try:
        return find(archive, data_dir, URL)
    except UserError:
        if not download:
            raise
        return fetch(URL, MD5, data_dir)


def tiny_imagenet(
    archive: str | Sequence[str] = ARCHIVES,
    data_dir: str | Path = "data",
    cache_dir: str | Path | None = None,
    download: bool = True,
    image_size: int | None = None,
) -> ImageData:
    """Tiny ImageNet (Stanford CS231N): 200 classes, RGB images of 64×64, 500 per class to train on.

    The official test images have no labels, so the official validation images (50 per class) are
    our test split. Gray images become RGB. Classes are in the order of their WordNet ids.

    Args:
        archive: names to look for; the first that exists is read. It may be a subset with fewer
            training images per class; the result's name says which it was.
        data_dir: where they are looked for.
        cache_dir: where the decoded arrays are kept; None for no cache.
        download: fetch the official zip (248 MB) if none exists.
        image_size: None keeps the size of the images; N resizes each to N×N pixels.

    Raises:
        UserError: the data is missing and cannot be downloaded, or a file of it is damaged.

    Example: ``tiny_imagenet(data_dir="data", cache_dir=".cache")``
    """
    source = locate(archive, data_dir, download)
    return cached(
        lambda: _read(source, image_size),
        cache_dir=cache_dir,
        dataset="tiny_imagenet",
        source=source,
        # No option without resizing: entries from before there was image_size are still found.
        options=None if image_size is None else {"image_size": image_size},
    )


def _read(path: Path, image_size: int | None) -> ImageData:
    with open_source(path, ("train", "val")) as source:
        images = [name for name in source.files if is_image(name)]
        train = [name for name in images if name.startswith("train/")]
        test = [name for name in images if name.startswith("val/")]
        wnids = sorted({name.split("/")[1] for name in train})
        if not train or not test:
            raise UserError(
                f"{path} has {len(train)} images below train/ and {len(test)} below val/: "
                "it is not Tiny ImageNet in its official layout."
            )
        index = {wnid: label for label, wnid in enumerate(wnids)}
        labels = [index[name.split("/")[1]] for name in train]
        labels += _val_labels(source, test, index)
        pixels, _ = decode(source, [*train, *test], image_size)
        targets = np.array(labels, dtype=np.int64)
        return ImageData(
            path.name.removesuffix(".zip"),
            tuple(_class_names(source, wnids)),
            Images(pixels[: len(train)], targets[: len(train)]),
            Images(pixels[len(train) :], targets[len(train) :]),
        )


def _val_labels(source: Source, names: Sequence[str], index: dict[str, int]) -> list[int]:
    """Labels of the validation images: these are all in one folder, and a table has the classes."""
    table = "val/val_annotations.txt"
    if table not in source.files:
        raise UserError(f"{source.path} lacks {table}, which holds the labels of its val images.")
    wnids = dict(row[:2] for row in _rows(source, table))
    labels = []
    for name in names:
        wnid = wnids.get(name.rsplit("/", 1)[-1])
        if wnid not in index:
            problem = "has no line" if wnid is None else f"is of a class without images, {wnid},"
            raise UserError(f"{name} in {source.path} {problem} in {table}.")
        labels.append(index[wnid])
    return labels


def _class_names(source: Source, wnids: Sequence[str]) -> list[str]:
    words = {}
    if "words.txt" in source.files:
        words = dict(row[:2] for row in _rows(source, "words.txt"))
    return [words.get(wnid, wnid) for wnid in wnids]


def _rows(source: Source, name: str) -> list[list[str]]:
    """The rows of a tab-separated table that have at least two columns."""
    text = source.read(name).decode(errors="replace")
    return [row for line in text.splitlines() if len(row := line.split("\t")) >= 2]
