"""How well a descent went: one score, distance and step of arrival per arm and start."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from gofau.toy.descent import Arm, descend
from gofau.toy.problems import Problem


@dataclass(frozen=True)
class Scores:
    """Each of shape (arms, starts). The definition of the score is ours: the paper's is not given.

    Attributes:
        score: distance to the nearest global minimum, averaged over the steps yielded: low for a
            trajectory that arrives, lower for one that arrives early. Distances are capped at the
            diagonal of the problem's box, which also stands for points that are not finite. So
            every start counts in a mean, and no diverged one dominates it.
        distance: the same distance at the end.
        arrived: the first step yielded from which on the distance stayed within the tolerance;
            infinite where it is not within it at the end.
        diverged: not finite at the end, or with f above that at the start and not converged.
    """

    score: Tensor
    distance: Tensor
    arrived: Tensor
    diverged: Tensor

    @property
    def converged(self) -> Tensor:
        """Within the tolerance of a global minimum at the end."""
        return self.arrived.isfinite()


def score(
    problem: Problem,
    optimizer: Callable[..., Optimizer],
    arms: Sequence[Arm],
    starts: Tensor,
    steps: int,
    every: int = 10,
    tolerance: float = 0.01,
) -> Scores:
    """Descend as `gofau.toy.descend` does, and score every trajectory.

    Args:
        problem, optimizer, arms, starts, steps, every: as in `descend`.
        tolerance: a distance to a global minimum, in the units of x, that counts as arrived.

    >>> from gofau.optim import SGD
    >>> from gofau.toy import PROBLEMS
    >>> arms = [{"rule": "additive", "lr": 0.1}, {"rule": "multiplicative", "lr": 0.1}]
    >>> starts = torch.tensor([[2.0, 2.0], [-1.0, 2.0]])
    >>> score(PROBLEMS["bowl"], SGD, arms, starts, steps=500).converged
    tensor([[ True,  True],
            [ True, False]])
    """
    worst, shape = problem.diagonal, (len(arms), len(starts))
    total = starts.new_zeros(shape)
    arrived = starts.new_full(shape, torch.inf)
    first, looks, points, distance = problem.value(starts), 0, starts, total
    for t, points in descend(problem, optimizer, arms, starts, steps, every):
        distance = problem.distance(points).nan_to_num_(worst, worst).clamp_(max=worst)
        inside = distance <= tolerance
        arrived = torch.where(inside, arrived.clamp(max=t), torch.inf)
        total += distance
        looks += 1
    last = problem.value(points)
    lost = ~points.isfinite().all(-1) | ~(last <= first)
    return Scores(total / looks, distance, arrived, lost & arrived.isinf())
