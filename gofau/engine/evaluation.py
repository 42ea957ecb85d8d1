"""Evaluate a model on one part of the data."""

import torch
from torch import nn

from gofau.engine.compute import Compute
from gofau.engine.distributed import World
from gofau.problems import Loader, Problem


@torch.no_grad()
def evaluate(
    problem: Problem,
    model: nn.Module,
    batches: Loader,
    compute: Compute | None = None,
    world: World | None = None,
) -> dict[str, float | None]:
    """Means over all examples of the loss and of each metric of the problem, by name; None if there
    are no batches.

    >>> evaluate(problem, model, test)  # doctest: +SKIP
    {'loss': 0.03, 'acc': 0.99}
    """
    compute, world = compute or Compute(), world or World()
    examples = sum(batches.count(batch) for batch in range(len(batches)))
    if not examples:
        return missing(problem)
    model.eval()
    sums = []
    for batch in batches.epoch():
        loss, metrics = compute.loss(problem, model, batch, training=False)
        # Sums, since batches may differ in size; in float64, since there may be many.
        total = loss.double() * problem.count(batch)
        sums.append(torch.stack([total, *(metric.double() for metric in metrics)]))
    totals = world.sum(torch.stack(sums).sum(0)).tolist()
    names = ("loss", *problem.metrics)
    return {name: total / examples for name, total in zip(names, totals, strict=True)}


def missing(problem: Problem) -> dict[str, float | None]:
    """What `evaluate` returns where there is nothing to evaluate."""
    return dict.fromkeys(("loss", *problem.metrics))
