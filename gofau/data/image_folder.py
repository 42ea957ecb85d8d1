"""Your own images: a folder or zip with ``train/<class>/…`` and ``test/<class>/…``."""

from pathlib import Path

import numpy as np

from gofau.data.cache import cached
from gofau.data.decode import decode, is_image
from gofau.data.images import ImageData, Images
from gofau.data.source import Source, how_to_get, open_source
from gofau.errors import UserError, nearest

_REMEDY = ", so set dataset.image_size=N to resize them to N×N"


def locate(path: str | Path, data_dir: str | Path = "data", url: str | None = None) -> Path:
    """Find ``path`` below ``data_dir``, or else below the working directory.

    Raises:
        UserError: it is in neither; the message says what to fetch and where to put it.
    """
    relative, folder = Path(path).expanduser(), Path(data_dir).expanduser()
    for candidate in (folder / relative, relative):
        if candidate.exists():
            return candidate
    near = sorted(item.name for item in folder.iterdir()) if folder.is_dir() else []
    raise UserError(
        f"There is no {relative} in {folder} or the working directory: "
        f"{how_to_get(url and f'{url} (as {relative.name})', folder)}{nearest(relative.name, near)}"
    )


def image_folder(
    path: str | Path,
    image_size: int | None = None,
    data_dir: str | Path = "data",
    cache_dir: str | Path | None = None,
    url: str | None = None,
) -> ImageData:
    """A data set of image files. Classes are the folders of ``train/`` in the order of their names.

    The second split is ``test/``, or ``val/`` if there is no ``test/``. Both may be inside a single
    top folder. Zips are read in memory. If all images are gray, they have one channel.

    Args:
        path: folder or zip, looked for below ``data_dir`` and then the working directory.
        image_size: None keeps the size, which all images must share; N resizes each to N×N pixels.
        data_dir: see ``path``.
        cache_dir: where the decoded arrays are kept; None for no cache.
        url: where to get the data, for the message if it is missing; nothing is downloaded.

    Raises:
        UserError: no such path, an incomplete zip, an unreadable image, images of several sizes, an
            empty class, fewer than two classes, or a class in one split that train lacks.

    Example: ``image_folder("pets.zip", image_size=64, data_dir="data")``
    """
    if image_size is not None and (not isinstance(image_size, int) or image_size < 1):
        raise UserError(f"image_size is {image_size!r}; it must be null or at least 1 (pixels).")
    source = locate(path, data_dir, url)
    return cached(
        lambda: _read(source, image_size),
        cache_dir=cache_dir,
        dataset="image_folder",
        source=source,
        options={"image_size": image_size},
    )


def _read(path: Path, image_size: int | None) -> ImageData:
    with open_source(path, ("train", "test", "val")) as source:
        train, test = _splits(source)
        classes = sorted(train)
        files = [
            name for group in (train, test) for label in sorted(group) for name in group[label]
        ]
        # Decoded together, so that both splits must have the same size and number of channels.
        pixels, all_gray = decode(source, files, image_size, remedy=_REMEDY)
        if all_gray:
            pixels = np.ascontiguousarray(pixels[..., :1])
        count = sum(map(len, train.values()))
        return ImageData(
            path.name.removesuffix(".zip"),
            tuple(classes),
            Images(pixels[:count], _labels(train, classes)),
            Images(pixels[count:], _labels(test, classes)),
        )


def _splits(source: Source) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The training and the second split, as class → files, after checking that they match."""
    path = source.path
    second = "test" if _has(source, "test") else "val"
    missing = [f"{split}/" for split in ("train", second) if not _has(source, split)]
    if missing:
        raise UserError(
            f"{path} lacks {' and '.join(missing)}: it needs train/<class>/… and test/<class>/… "
            "(or val/<class>/…)."
        )
    train, test = _by_class(source, "train"), _by_class(source, second)
    for name in test:
        if name not in train:
            raise UserError(
                f"{path} has the class {name} in {second}/ and not in train/.{nearest(name, train)}"
            )
    if len(train) < 2:
        found = f"only the class {next(iter(train))}" if train else "no class folders in train/"
        raise UserError(f"{path} has {found}: at least 2 are needed.")
    return train, test


def _has(source: Source, split: str) -> bool:
    return split in source.folders or any(name.startswith(f"{split}/") for name in source.files)


def _by_class(source: Source, split: str) -> dict[str, list[str]]:
    """Class → its image files, at any depth below its folder. Other files are ignored."""
    groups: dict[str, list[str]] = {}
    # Folders as well as files, so that an empty class is found and reported.
    for folder in source.folders:
        if folder.startswith(f"{split}/"):
            groups.setdefault(folder.split("/")[1], [])
    for name in source.files:
        if not name.startswith(f"{split}/"):
            continue
        label, *rest = name.split("/")[1:]
        if rest:
            groups.setdefault(label, [])
        if is_image(name):
            if not rest:
                raise UserError(f"{name} in {source.path} lies in no class folder.")
            groups[label].append(name)
    for label in sorted(groups):
        if not groups[label]:
            raise UserError(f"The class folder {split}/{label} in {source.path} has no images.")
    return groups


def _labels(groups: dict[str, list[str]], classes: list[str]) -> np.ndarray:
    counts = [len(groups.get(label, ())) for label in classes]
    return np.repeat(np.arange(len(classes), dtype=np.int64), counts)
