"""Thousands of configurations of a rule at once, each descending from the same point.

`gofau.toy.descend` has a param group for every arm, which costs Python time for each. Here the
hyperparameters are tensors with one row per configuration, and the one statement of a step,
`gofau.optim.update.update`, is carried out for all of them together; the tests hold the result
against the optimizers with param groups.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gofau.optim import RuleOptimizer, get_rule
from gofau.optim.stepsize import BASE
from gofau.optim.update import update
from gofau.toy.problems import Problem

Values = Mapping[str, Tensor]
"""Hyperparameters by name, each of shape (configurations,)."""


@dataclass(frozen=True)
class Range:
    """The range of a hyperparameter: drawn evenly in [low, high], or evenly in its logarithm.

    >>> Range(0.01, 100.0, log=True).at(torch.tensor([0.0, 0.5, 1.0]))
    tensor([1.0000e-02, 1.0000e+00, 1.0000e+02])
    >>> print(Range(0.01, 100.0, log=True))
    0.01 to 100 (log)
    """

    low: float
    high: float
    log: bool

    def at(self, share: Tensor) -> Tensor:
        """The value at each share in [0, 1] of the way from low to high."""
        if not self.log:
            return self.low + (self.high - self.low) * share
        low, high = math.log(self.low), math.log(self.high)
        return torch.exp(low + (high - low) * share)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + (" (log)" if self.log else "")

    def is_near_an_end(self, value: float, margin: float = 0.02) -> bool:
        """Whether a value is closer to an end than ``margin``, as a share of the range."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        share = (at - low) / (high - low)
        return share < margin or share > 1 - margin


def draw(ranges: Mapping[str, Range], n: int, seed: int, sequence: str) -> dict[str, Tensor]:
    """Draw n configurations.

    Args:
        ranges: of each hyperparameter; their order is that of the sequence's coordinates.
        n: how many; a larger n begins with the same configurations.
        seed: of the scramble, or of the generator.
        sequence: "sobol", a scrambled low-discrepancy sequence (Owen, *Scrambling Sobol' and
            Niederreiter-Xing points*, 1998), or "random", independent draws.

    Returns:
        The values by name, each of shape (n,), in double precision.
    """
    if sequence == "sobol":
        engine = torch.quasirandom.SobolEngine(len(ranges), scramble=True, seed=seed)
        shares = engine.draw(n, dtype=torch.float64)
    else:
        generator = torch.Generator().manual_seed(seed)
        shares = torch.rand(n, len(ranges), dtype=torch.float64, generator=generator)
    return {name: it.at(shares[:, i]) for i, (name, it) in enumerate(ranges.items())}


def ends(
    problem: Problem,
    optimizer: Callable[..., RuleOptimizer],
    rule: str,
    values: Values,
    start: Tensor,
    steps: int,
) -> Tensor:
    """The point that each configuration reaches after ``steps`` steps.

    Args:
        problem: f, whose gradient is followed.
        optimizer: a class of `gofau.optim`, or a partial of one.
        rule: the update rule of all.
        values: hyperparameters by name, one value per configuration; others have the optimizer's
            default.
        start: θ_0, of shape (2,); its dtype and device are those of the descent.
        steps: T, the number of steps.

    Returns:
        θ_T of shape (configurations, 2).

    Example:
        >>> from gofau.optim import SGD
        >>> from gofau.toy import PROBLEMS
        >>> values = {"lr": torch.tensor([0.1, 0.5])}
        >>> ends(PROBLEMS["bowl"], SGD, "additive", values, torch.tensor([2.0, 3.0]), steps=1)
        tensor([[1.8000, 2.6000],
                [1.0000, 1.0000]])
    """
    columns = {name: value.to(start)[:, None] for name, value in values.items()}
    n = len(next(iter(columns.values())))
    p = start.detach().expand(n, 2).clone()
    # Made only for its param group, which holds the default of everything that a step looks up.
    stepper = optimizer([{"params": [p], "rule": rule, "zero_init": "freeze"}])
    direction, xi = stepper.direction, get_rule(rule)
    group = stepper.param_groups[0] | columns
    state = direction.init(p, group)
    with torch.no_grad():
        for t in range(1, steps + 1):
            h = group | direction.coefficients(t, group)
            p = update(direction, BASE, xi, p, problem.gradient(p), state, h)
    return p


def distances(problem: Problem, points: Tensor) -> Tensor:
    """Distance of each to the nearest global minimum; infinite where a point is not finite."""
    return problem.distance(points).nan_to_num_(nan=math.inf, posinf=math.inf)


def best_after(distance: Tensor, looks: Iterable[int]) -> list[float]:
    """The smallest of the first k distances, for each k of ``looks``.

    >>> best_after(torch.tensor([3.0, 1.0, 2.0]), [1, 3])
    [3.0, 1.0]
    """
    least = distance.cummin(0).values
    return [least[k - 1].item() for k in looks]
