"""What problems on images share: the splits of a data set, and their batches."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from gofau.data.augment import Augment
from gofau.data.batches import Batches, channel_stats
from gofau.data.images import ImageData, Images
from gofau.data.split import hold_out, subset
from gofau.errors import UserError
from gofau.problems.problem import Loading

KEYS = ("val_fraction", "split_seed", "train_size", "augment")
"""Keys of a dataset's config that say how its images are used, not how they are read."""
Stats = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each channel, in units of 0..1."""


@dataclass(frozen=True, eq=False)
class Splits:
    """The images to train, validate and test on."""

    train: Images
    validation: Images
    test: Images

    def counts(self) -> dict[str, int]:
        return {name: len(getattr(self, name)) for name in ("train", "validation", "test")}


def split(problem: str, data: Any, keys: Mapping[str, Any]) -> Splits:
    """Split a data set as its config says (see `KEYS`).

    Args:
        problem: its name, for the message.
        data: an `ImageData`.
        keys: the values of `KEYS` in the config.

    Raises:
        UserError: it is not a data set of images, or a part would be empty.
    """
    if not isinstance(data, ImageData):
        kind = type(data).__name__
        raise UserError(f"problem={problem} needs a data set of images, not a {kind}")
    return _split(data, keys["val_fraction"], keys["split_seed"], keys["train_size"])


# Cached: runs of a sweep share their data, and these two take a second on 50,000 images.
@lru_cache(maxsize=2)
def _split(data: ImageData, val_fraction: float, split_seed: int, train_size: int | None) -> Splits:
    train, validation = hold_out(data.train, val_fraction, split_seed)
    return Splits(subset(train, train_size, split_seed), validation, data.test)


@lru_cache(maxsize=2)
def standard(images: Images) -> Stats:
    """The statistics that normalise these images to mean 0 and standard deviation 1."""
    return channel_stats(images)


def unit_range(images: Images) -> Stats:
    """The statistics that leave pixels in [0, 1]."""
    channels = images.stored.shape[-1]
    return (0.0,) * channels, (1.0,) * channels


def batches(
    splits: Splits, stats: Stats, augment: Mapping[str, Any], loading: Loading
) -> tuple[Batches, Batches, Batches]:
    """Training (shuffled, augmented), validation and test batches, all normalised alike."""
    size = max(part.stored.nbytes for part in (splits.train, splits.test))
    limit = loading.resident_limit
    common = {"mean": stats[0], "std": stats[1], "device": loading.device, "share": loading.share}
    # On the CPU, host and device memory are the same: there is nothing to move.
    common["resident"] = loading.device.type == "cpu" or limit is None or size <= limit
    train = Batches(
        splits.train,
        batch_size=loading.batch_size,
        augment=Augment(**augment),
        shuffle=True,
        seed=loading.seed,
        **common,
    )
    validation, test = (
        Batches(part, batch_size=loading.eval_batch_size, **common)
        for part in (splits.validation, splits.test)
    )
    return train, validation, test


def example(data: ImageData) -> tuple[torch.Tensor]:
    """One image of zeros, shape (1, C, H, W)."""
    return (torch.zeros(1, *data.shape),)
