"""How well a descent went: one number of each kind for every arm and start."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from gofau.toy.descent import Arm, descend
from gofau.toy.problems import Problem


@dataclass(frozen=True)
class Scores:
    """Each of shape (arms, starts). The paper's own score is not known to us; this is our reading.

    Attributes:
        score: distance to the nearest global minimum, averaged over the steps looked at: low for
            what gets there, lower for what gets there soon. No distance counts for more than the
            diagonal of the problem's box, which is also what a trajectory gets that is no longer
            finite. So every start counts in a mean, and no lost one decides it.
        distance: the same distance at the end.
        arrived: the first step looked at from which on the distance stayed within the tolerance;
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
