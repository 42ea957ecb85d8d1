"""Evaluate a classifier on batches of images."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from gofau.engine.compute import Compute
from gofau.engine.distributed import World

Batch = tuple[Tensor, Tensor]


class Source(Protocol):
    """Batches of (x, y): float images (B, C, H, W) and int64 labels (B,), on the model's device;
    where several processes train together, each process's share of them."""

    def __len__(self) -> int: ...

    def count(self, batch: int) -> int:
        """Images in the batch of that number, over all processes."""
        ...

    def epoch(self, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
        """The batches of that epoch from number ``start`` on: the same whenever they are asked for
        again."""
        ...


@torch.no_grad()
def evaluate(
    model: nn.Module, batches: Source, compute: Compute | None = None, world: World | None = None
) -> dict[str, float | None]:
    """Mean cross-entropy (nats) and accuracy (a fraction); both None where there are no batches.

    >>> evaluate(model, test)  # doctest: +SKIP
    {'loss': 0.03, 'acc': 0.99}
    """
    compute, world = compute or Compute(), world or World()
    images = sum(batches.count(batch) for batch in range(len(batches)))
    if not images:
        return {"loss": None, "acc": None}
    model.eval()
    sums = []
    for x, y in batches.epoch():
        loss, hits = compute.loss(model, x, y)
        sums.append(torch.stack([loss.double() * len(y), hits.double()]))
    loss, hits = world.sum(torch.stack(sums).sum(0)).tolist()
    return {"loss": loss / images, "acc": hits / images}
