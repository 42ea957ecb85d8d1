"""Learning rate schedules, stepped once per batch.

Each is called as ``schedule(optimizer, total_steps=…, steps_per_epoch=…, **own)`` and returns a
torch scheduler, which changes ``lr`` of every param group, starting from the group's own value.
"""

import math
from collections.abc import Sequence

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, MultiStepLR, OneCycleLR

from gofau.errors import UserError


def constant(optimizer: Optimizer, *, total_steps: int, steps_per_epoch: int) -> LRScheduler:
    """η_t = η."""
    return LambdaLR(optimizer, lambda t: 1.0)


def cosine(
    optimizer: Optimizer,
    *,
    total_steps: int,
    steps_per_epoch: int,
    warmup_epochs: float = 0,
    final: float = 0.0,
) -> LRScheduler:
    """Half a cosine from η to ``final``·η, after a linear warm-up of ``warmup_epochs`` epochs.

    A factor is used instead of torch's CosineAnnealingLR, which has one final value for all groups.
    Source: Loshchilov, Hutter, *SGDR*, arXiv 1608.03983, without restarts.

    Raises:
        UserError: the warm-up is negative or as long as the run.
    """
    warmup = round(warmup_epochs * steps_per_epoch)
    if not 0 <= warmup < total_steps:
        epochs = total_steps / steps_per_epoch
        raise UserError(
            f"scheduler.warmup_epochs must be at least 0 and less than the run's {epochs:g} epochs,"
            f" got {warmup_epochs}"
        )

    def factor(t: int) -> float:
        if t < warmup:
            return (t + 1) / (warmup + 1)  # t + 1: the first step would otherwise be lost
        done = min(1.0, (t - warmup) / (total_steps - warmup))
        return final + (1 - final) * (1 + math.cos(math.pi * done)) / 2

    return LambdaLR(optimizer, factor)


def step(
    optimizer: Optimizer,
    *,
    total_steps: int,
    steps_per_epoch: int,
    milestones: Sequence[float] = (0.5, 0.75),
    gamma: float = 0.1,
) -> LRScheduler:
    """η times ``gamma`` after each of the ``milestones``, which are shares of the run in (0, 1)."""
    bad = [m for m in milestones if not 0 < m < 1]
    if bad:
        raise UserError(f"scheduler.milestones must be shares of the run in (0, 1), got {bad[0]}")
    steps = [round(m * total_steps) for m in milestones]
    return MultiStepLR(optimizer, milestones=steps, gamma=gamma)


def one_cycle(
    optimizer: Optimizer,
    *,
    total_steps: int,
    steps_per_epoch: int,
    warmup: float = 0.3,
    initial_divisor: float = 25.0,
    final_divisor: float = 1e4,
) -> LRScheduler:
    """Up from η / ``initial_divisor`` to η over the share ``warmup`` of the run, then down to
    η / (``initial_divisor``·``final_divisor``), both along cosines; momentum is left alone.

    Source: Smith, Topin, *Super-Convergence*, arXiv 1708.07120, by torch's OneCycleLR.
    """
    return OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=total_steps,
        pct_start=warmup,
        div_factor=initial_divisor,
        final_div_factor=final_divisor,
        cycle_momentum=False,
    )
