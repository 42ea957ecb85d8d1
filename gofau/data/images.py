"""The form of every image data set: labelled uint8 images, in a training and a test split."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gofau.errors import UserError


@dataclass(frozen=True, eq=False)
class Images:
    """One split. It may be empty, as a validation split of fraction 0 is.

    A part of a split shares the memory of the whole: it is a list of rows of the same array. So all
    parts and runs share one copy, and all processes if the array is a memory map of the cache.

    Args:
        stored: uint8, shape (M, H, W, C), C = 1 (gray) or 3 (RGB), 0 is black, 255 full intensity.
        labels: int64, shape (N,), indices into the data set's classes.
        rows: int64, shape (N,), the rows of ``stored`` in this split; None for all, in order.

    >>> images = Images(np.zeros((5, 8, 8, 1), np.uint8), np.arange(5))
    >>> part = images.take(np.array([0, 3]))
    >>> len(part), part.stored is images.stored
    (2, True)
    """

    stored: np.ndarray
    labels: np.ndarray
    rows: np.ndarray | None = None

    @property
    def pixels(self) -> np.ndarray:
        """The images, uint8 of shape (N, H, W, C); a copy if this is a part."""
        return self.stored if self.rows is None else self.stored[self.rows]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> "Images":
        """The images at ``indices`` (integers, shape (K,)), in that order; no pixel is copied."""
        rows = indices if self.rows is None else self.rows[indices]
        return Images(self.stored, np.array(self.labels[indices]), np.asarray(rows, np.int64))


@dataclass(frozen=True, eq=False)
class ImageData:
    """A validated data set for image classification.

    Args:
        name: for display; that of a subset says that it is one.
        classes: the name of each label, at least two.
        train: the training images; a validation split is held out of them later.
        test: the test images, used once, at the end of a run.
        source: the file or folder it was read from, or several; not part of the content.

    Raises:
        UserError: wrong dtype or shape, no images, a label without a class, fewer than two classes,
            or splits whose images differ in shape.

    >>> one = Images(np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 1]))
    >>> ImageData("toy", ("cat", "dog"), one, one).shape
    (1, 8, 8)
    """

    name: str
    classes: tuple[str, ...]
    train: Images
    test: Images
    source: Path | Sequence[Path] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise UserError(
                f"{self.name} has {len(self.classes)} class(es) ({', '.join(self.classes)}): "
                "classification needs at least 2."
            )
        self._check("train", self.train)
        self._check("test", self.test)
        if self.train.pixels.shape[1:] != self.test.pixels.shape[1:]:
            raise UserError(
                f"{self.name}: train images have shape (H, W, C) = {self.train.pixels.shape[1:]}, "
                f"test images {self.test.pixels.shape[1:]}; they must be equal."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image, as a model takes it."""
        height, width, channels = self.train.pixels.shape[1:]
        return channels, height, width

    def _check(self, split: str, images: Images) -> None:
        pixels, labels = images.pixels, images.labels
        where = f"{self.name}, {split} split"
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] not in (1, 3):
            raise UserError(
                f"{where}: pixels must be uint8 of shape (N, H, W, 1 or 3), "
                f"not {pixels.dtype} {pixels.shape}."
            )
        if labels.dtype != np.int64 or labels.shape != pixels.shape[:1]:
            raise UserError(
                f"{where}: labels must be int64 of shape ({len(pixels)},), one per image, "
                f"not {labels.dtype} {labels.shape}."
            )
        if pixels.size == 0:
            raise UserError(f"{where}: there are no images (shape {pixels.shape}).")
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(self.classes):
            raise UserError(
                f"{where}: labels run from {low} to {high}, "
                f"but {len(self.classes)} classes allow 0 to {len(self.classes) - 1}."
            )
