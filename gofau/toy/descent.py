"""Many descents at once, stepped by the optimizers that train networks.

Every update rule and every base optimizer of `gofau.optim` is elementwise: what an element of a
parameter becomes depends on that element's weight, gradient and state alone. So one parameter that
holds n points is n independent trajectories, and one optimizer with a param group for every arm (a
rule with a learning rate) steps them all. There is no second implementation of anything; and the
same function drives ``torch.optim``.

One thing only is decided for a tensor as a whole, and would break this: ``zero_init``, the rule of
tensors that are all zero at the start. Here it is "freeze" unless an arm says otherwise, so that a
point moves in a batch as it does alone: a coordinate that is exactly zero stays zero under the
multiplicative and the exponential rule.

A trajectory that overflows continues as infinite or NaN, and has no effect on the others.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gofau.toy.problems import Problem

Arm = Mapping[str, Any]
"""The hyperparameters in which a param group differs from the optimizer's defaults: ``rule``,
``lr``, ``eta_in``, …"""


def descend(
    problem: Problem,
    optimizer: Callable[..., Optimizer],
    arms: Sequence[Arm],
    starts: Tensor,
    steps: int,
    every: int = 1,
) -> Iterator[tuple[int, Tensor]]:
    """Descend from every start under every arm, ``steps`` steps long.

    Args:
        problem: f, whose gradient is followed.
        optimizer: makes the optimizer of a list of param groups: a class of `gofau.optim` or
            `torch.optim`, or a partial of one.
        arms: the hyperparameters of each param group.
        starts: θ_0, of shape (starts, 2); their dtype and device are those of the descent.
        steps: T, the number of steps.
        every: steps between two yields.

    Yields:
        (t, θ_t) at t = 0, every, 2·every, … and T, θ_t of shape (arms, starts, 2). The tensor is
        the one being stepped: read it before the next iteration, and copy what you keep.

    Raises:
        ValueError, TypeError: the optimizer refuses an arm.

    Example:
        >>> from gofau.optim import Adam
        >>> from gofau.toy import PROBLEMS
        >>> arms = [{"rule": "additive", "lr": 0.1}, {"rule": "multiplicative", "lr": 0.1}]
        >>> starts = torch.tensor([[2.0, 2.0], [-1.0, 2.0]])
        >>> for t, points in descend(PROBLEMS["bowl"], Adam, arms, starts, steps=100, every=50):
        ...     print(t, PROBLEMS["bowl"].distance(points))
        0 tensor([[1.4142, 2.2361],
                [1.4142, 2.2361]])
        50 tensor([[0.0068, 0.0759],
                [0.0425, 1.0251]])
        100 tensor([[0.0042, 0.0089],
                [0.0053, 1.0007]])
    """
    # Coordinates first within an arm: the problems then read contiguous memory.
    memory = starts.new_empty(len(arms), 2, len(starts))
    memory.copy_(starts.detach().mT)
    gradients = torch.empty_like(memory)
    points, gradient = memory.mT, gradients.mT
    groups = []
    for arm, p, g in zip(arms, memory, gradients, strict=True):
        p.grad = g
        groups.append({"params": [p], **({"zero_init": "freeze"} if "rule" in arm else {}), **arm})
    stepper = optimizer(groups)
    yield 0, points
    for t in range(1, steps + 1):
        gradient.copy_(problem.gradient(points))
        stepper.step()
        if t % every == 0 or t == steps:
            yield t, points
