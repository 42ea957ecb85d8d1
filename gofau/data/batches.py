"""A split that lives on the device as uint8, and its epochs of normalised float batches."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from gofau.data.augment import Augment, cut_out, draw, gather_moved
from gofau.data.images import Images
from gofau.errors import UserError

# Images counted at once: keeps numpy's int64 copy of the pixels to some tens of megabytes.
_CHUNK = 512


def channel_stats(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over all pixels, in units of 0..1.

    Exact: a histogram of the 256 values gives both sums in integers, whatever the size.

    Raises:
        UserError: there are no images.

    >>> channel_stats(Images(np.array([[[[0], [255]]]], np.uint8), np.array([0])))
    ((0.5,), (0.5,))
    """
    if images.pixels.size == 0:
        raise UserError("There are no images to take the mean and standard deviation of.")
    channels = images.pixels.shape[-1]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(images), _CHUNK):
        chunk = images.pixels[start : start + _CHUNK]
        for channel in range(channels):
            counts[channel] += np.bincount(chunk[..., channel].ravel(), minlength=256)
    mean, std = zip(*map(_moments, counts.tolist()), strict=True)
    return mean, std


def _moments(histogram: list[int]) -> tuple[float, float]:
    n = sum(histogram)
    first = sum(value * count for value, count in enumerate(histogram))
    second = sum(value * value * count for value, count in enumerate(histogram))
    return first / n / 255, math.sqrt(n * second - first * first) / n / 255


class Batches:
    """Batches of one split. The whole split is on the device; all that follows is vectorised there.

    Args:
        images: the split; on the CPU its memory is shared where it can be.
        batch_size: images a batch; the last batch may be short.
        device: where the pixels live and the batches are made.
        mean, std: of each channel in units of 0..1 (see ``channel_stats``); x = (p/255 − mean)/std.
            A channel that is constant has std 0 and is only centred.
        augment: None for none.
        shuffle: a new order every epoch.
        seed: with the epoch's number it decides order and augmentation, on every device alike.

    Raises:
        UserError: batch_size < 1, seed < 0, or mean or std that do not fit the channels.

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
    ) -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise UserError(f"batch_size is {batch_size!r}; it must be an integer ≥ 1.")
        if seed < 0:
            raise UserError(f"The seed of the batches is {seed}; it must be at least 0.")
        _check_stats(mean, std, images.pixels.shape[-1])
        self.batch_size = batch_size
        self.device = torch.device(device)
        self.augment = augment or Augment()
        self.shuffle = shuffle
        self.seed = seed
        self._pixels = _tensor(images.pixels, self.device)
        self._labels = _tensor(images.labels, self.device)
        self._mean = self._per_channel([255 * value for value in mean])
        self._scale = self._per_channel([1 / (255 * (value or 1.0)) for value in std])

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self._labels) // self.batch_size)

    def epoch(self, epoch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of one epoch; the same number gives the same batches again.

        Yields:
            x, float32 of shape (B, C, H, W), normalised, and y, int64 of shape (B,).
        """
        count, height, width, _ = self._pixels.shape
        generator = _generator(self.seed, epoch)
        order = torch.randperm(count, generator=generator) if self.shuffle else torch.arange(count)
        order = order.to(self.device)
        draws = draw(self.augment, count, height, width, generator).to(self.device)
        for start in range(0, count, self.batch_size):
            part = slice(start, start + self.batch_size)
            take = order[part]
            if self.augment.moves:
                picked = gather_moved(self._pixels, take, draws[part], self.augment.crop)
            else:
                picked = self._pixels.index_select(0, take)
            x = self._normalise(picked)
            if self.augment.cutout:
                x = cut_out(x, draws[part], self.augment.cutout)
            yield x, self._labels.index_select(0, take)

    def _normalise(self, picked: Tensor) -> Tensor:
        x = picked.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
        return x.sub_(self._mean).mul_(self._scale)

    def _per_channel(self, values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.device).view(1, -1, 1, 1)


def _tensor(array: np.ndarray, device: torch.device) -> Tensor:
    """Copies only what must be: a memory map of the cache is read-only, which tensors cannot be."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device)


def _generator(seed: int, epoch: int) -> torch.Generator:
    """A CPU generator, so that every device sees the same numbers. The pair is hashed: with plain
    sums, epoch 1 of seed 0 would be epoch 0 of seed 1."""
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
