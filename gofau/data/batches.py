"""A split of uint8 images, and its epochs of normalised float batches, made on the device."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from gofau.data.augment import Augment, cut_out, draw, gather_moved
from gofau.data.images import Images
from gofau.data.pixels import Resident, Streamed
from gofau.errors import UserError

# Images per chunk of the histogram: limits numpy's int64 copy of the pixels to tens of megabytes.
_CHUNK = 512


def channel_stats(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over all pixels, in units of 0..1.

    Exact: a histogram of the 256 values gives both sums in integers, for any number of images.

    Raises:
        UserError: there are no images.

    >>> channel_stats(Images(np.array([[[[0], [255]]]], np.uint8), np.array([0])))
    ((0.5,), (0.5,))
    """
    if len(images) == 0 or images.stored.size == 0:
        raise UserError("There are no images to take the mean and standard deviation of.")
    channels = images.stored.shape[-1]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(images), _CHUNK):
        chunk = images.take(np.arange(start, min(start + _CHUNK, len(images)))).pixels
        for channel in range(channels):
            counts[channel] += np.bincount(chunk[..., channel].ravel(), minlength=256)
    mean, std = zip(*map(_moments, counts.tolist()), strict=True)
    return mean, std


def _moments(histogram: list[int]) -> tuple[float, float]:
    n = sum(histogram)
    first = sum(value * count for value, count in enumerate(histogram))
    second = sum(value * value * count for value, count in enumerate(histogram))
    # n · Σv² − (Σv)² is n² times the variance, and exact, since Python's integers are.
    return first / n / 255, math.sqrt(n * second - first * first) / n / 255


class Batches:
    """Batches of one split, made on the device by a few operations on whole batches.

    Args:
        images: the split; on the CPU its memory is shared where possible.
        batch_size: images per batch; the last batch may be short.
        device: where the batches are made.
        mean, std: of each channel in units of 0..1 (see ``channel_stats``); x = (p/255 − mean)/std.
            A channel that is constant has std 0 and is only centred.
        augment: the augmentation; None for none.
        shuffle: whether every epoch has a new random order.
        seed: with the epoch's number it determines order and augmentation, the same on all devices.
        resident: keep all pixels on the device; False sends them batch by batch.
        share: (rank, processes): of each batch this process gets the images rank, rank +
            processes, rank + 2·processes and so on.

    Raises:
        UserError: batch_size < 1, seed < 0, mean or std that do not fit the channels, or fewer
            images in a batch than processes.

    >>> images = Images(np.zeros((10, 8, 8, 1), np.uint8), np.arange(10))
    >>> batches = Batches(images, batch_size=4, mean=(0.5,), std=(0.25,), shuffle=True)
    >>> [(tuple(x.shape), y.dtype) for x, y in batches.epoch(0)][-1]
    ((2, 1, 8, 8), torch.int64)
    """

    def __init__(
        self,
        images: Images,
        *,
        batch_size: int,
        device: str | torch.device = "cpu",
        mean: Sequence[float],
        std: Sequence[float],
        augment: Augment | None = None,
        shuffle: bool = False,
        seed: int = 0,
        resident: bool = True,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise UserError(f"batch_size is {batch_size!r}; it must be an integer ≥ 1.")
        if seed < 0:
            raise UserError(f"The seed of the batches is {seed}; it must be at least 0.")
        _check_stats(mean, std, images.stored.shape[-1])
        self.batch_size = batch_size
        self.device = torch.device(device)
        self.augment = augment or Augment()
        self.shuffle = shuffle
        self.seed = seed
        self.share = share
        self._size = images.stored.shape[1:3]
        self.augment.check(*self._size)
        self._rows = torch.from_numpy(
            np.arange(len(images)) if images.rows is None else images.rows
        )
        self._pixels = (Resident if resident else Streamed)(images.stored, self.device)
        self._labels = torch.from_numpy(np.array(images.labels)).to(self.device)
        self._mean = self._per_channel([255 * value for value in mean])
        self._scale = self._per_channel([1 / (255 * (value or 1.0)) for value in std])
        if 0 < self._smallest() < share[1]:
            raise UserError(
                f"The smallest batch has {self._smallest()} image(s), fewer than the {share[1]}"
                " processes: choose another batch size."
            )

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self._rows) // self.batch_size)

    def count(self, batch: int) -> int:
        """Images in batch number ``batch``, over all processes."""
        return min(self.batch_size, len(self._rows) - batch * self.batch_size)

    def _smallest(self) -> int:
        return self.count(len(self) - 1) if len(self) else 0

    def epoch(self, epoch: int = 0, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of one epoch from batch ``start`` on; an epoch always gives the same batches.

        Yields:
            x, float32 of shape (B, C, H, W), channels last in memory, normalised, and y, int64 of
            shape (B,).
        """
        count, (rank, processes) = len(self._rows), self.share
        generator = seeded(self.seed, epoch)
        order = torch.randperm(count, generator=generator) if self.shuffle else torch.arange(count)
        height, width = self._size
        draws = draw(self.augment, count, height, width, generator).to(self.device)
        places = [
            torch.arange(first + rank, min(first + self.batch_size, count), processes)
            for first in range(start * self.batch_size, count, self.batch_size)
        ]
        picked = self._pixels.pick([self._rows[order[place]] for place in places])
        for place, (pixels, rows) in zip(places, picked, strict=True):
            # A slice is a view, so nothing is copied. A sample's random numbers belong to its place
            # in the epoch, so they do not depend on the number of processes.
            part = slice(int(place[0]), int(place[-1]) + 1, processes)
            if self.augment.moves:
                x = self._normalise(gather_moved(pixels, rows, draws[part], self.augment.crop))
            else:
                x = self._normalise(pixels.index_select(0, rows))
            if self.augment.cutout:
                x = cut_out(x, draws[part], self.augment.cutout)
            yield x, self._labels.index_select(0, order[part].to(self.device))

    def _normalise(self, picked: Tensor) -> Tensor:
        # Stored as (B, H, W, C), which is what torch calls channels last: permuting is enough.
        x = picked.permute(0, 3, 1, 2).to(torch.float32)
        return x.sub_(self._mean).mul_(self._scale)

    def _per_channel(self, values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.device).view(1, -1, 1, 1)


def seeded(seed: int, epoch: int) -> torch.Generator:
    """The random generator of an epoch, on the CPU, so that all devices get the same numbers. The
    pair is hashed: with seed + epoch, epoch 1 of seed 0 would equal epoch 0 of seed 1."""
    state = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))


def _check_stats(mean: Sequence[float], std: Sequence[float], channels: int) -> None:
    if len(mean) != channels or len(std) != channels:
        raise UserError(
            f"There are {len(mean)} means and {len(std)} standard deviations for images of "
            f"{channels} channel(s); one of each per channel is needed."
        )
    if not all(math.isfinite(value) and value >= 0 for value in std):
        raise UserError(f"The standard deviations are {tuple(std)}; each must be finite and ≥ 0.")
