"""Where the pixels of a run are kept: all of them on the device, or on the host and sent batch by
batch. In both cases a batch is selected by row numbers, and the samples are the same."""

import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

Picked = tuple[Tensor, Tensor]
"""Pixels on the device, uint8 of shape (M, H, W, C), and the rows of them that make the batch."""


class Pixels(Protocol):
    """Provides the pixels of one batch after another."""

    def pick(self, batches: Sequence[Tensor]) -> Iterator[Picked]:
        """For each batch, given as row numbers (int64, shape (B,), on the CPU), its pixels."""
        ...


class Resident:
    """All pixels on the device, so that a batch needs no transfer; on the CPU the array itself.

    Args:
        pixels: uint8, shape (M, H, W, C).
        device: where the pixels are kept.
    """

    def __init__(self, pixels: np.ndarray, device: torch.device) -> None:
        self.pixels = _tensor(pixels, device)

    def pick(self, batches: Sequence[Tensor]) -> Iterator[Picked]:
        for rows in batches:
            yield self.pixels, rows.to(self.pixels.device, non_blocking=True)


class Streamed:
    """Pixels stay on the host (mapped from the cache, so they need not fit in memory either); a
    thread gathers the next batch in pinned memory while the current one is trained on.

    Args:
        pixels: uint8, shape (M, H, W, C).
        device: where the batches are sent.
    """

    def __init__(self, pixels: np.ndarray, device: torch.device) -> None:
        self.pixels, self.device = pixels, device

    def pick(self, batches: Sequence[Tensor]) -> Iterator[Picked]:
        with ThreadPoolExecutor(1) as ahead:
            pending = [ahead.submit(self._gather, rows) for rows in batches[:1]]
            for i, rows in enumerate(batches):
                host = pending.pop().result()
                if i + 1 < len(batches):
                    pending.append(ahead.submit(self._gather, batches[i + 1]))
                sent = host.to(self.device, non_blocking=True)
                yield sent, torch.arange(len(rows), device=self.device)

    def _gather(self, rows: Tensor) -> Tensor:
        host = torch.from_numpy(self.pixels[rows.numpy()])
        return host.pin_memory() if self.device.type == "cuda" else host


# (id of an array, device) → its copy there. An entry is removed with its array, since a new array
# may get the same id.
_kept: dict[tuple[int, str], Tensor] = {}


def _tensor(array: np.ndarray, device: torch.device) -> Tensor:
    """The array as a tensor on the device. On a CPU it shares the array's memory; to other devices
    it is sent once for all splits and runs that use it, and kept as long as the array lives."""
    if device.type == "cpu":
        # A read-only array is copied, since a tensor cannot be read-only.
        return torch.from_numpy(np.require(array, requirements=["C", "W"]))
    key = (id(array), str(device))
    if key not in _kept:
        _kept[key] = torch.from_numpy(np.array(array)).to(device)
        weakref.finalize(array, _kept.pop, key, None)
    return _kept[key]
