"""The decrease of a loss by a step, measured, beside the first-order model's prediction.

With g and H the gradient and the Hessian of f at the weights θ,

    f(θ) − f(θ + Δθ) = −gᵀΔθ − ½·ΔθᵀHΔθ − …

The first term is the *predicted* decrease. The descent lemma bounds the others by ½·L·‖Δθ‖², with L
the Lipschitz constant of the gradient. A prediction that holds has measured/predicted near 1; how
large a step may be until it fails tells how well the step's geometry fits that of the loss.

Steps along different directions are compared at an equal relative size ‖Δθ‖/‖θ‖. It may be that of
the whole network, or the same in every tensor, as in Bernstein, Vahdat, Yue, Liu, *On the distance
between two neural networks and the stability of learning*, arXiv 2002.03432, whose bound is in
terms of the relative sizes of the layers.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Decrease(NamedTuple):
    """The decrease of a loss by one step, in the loss's unit; negative if it increases.

    Attributes:
        predicted: −gᵀΔθ.
        measured: f(θ) − f(θ + Δθ).
    """

    predicted: float
    measured: float


class LossAround:
    """A loss around the current weights: its value, its gradient, and its decrease by steps.

    Args:
        loss: computes f at the current weights, with its graph, and must be deterministic.
        weights: θ, the tensors that steps move; leaves that require a gradient.

    Attributes:
        value: f(θ).
        gradient: g, one tensor per weight; zeros for a weight that f does not depend on.

    Example:
        >>> theta = torch.tensor([3.0, 4.0], dtype=torch.float64, requires_grad=True)
        >>> around = LossAround(lambda: theta.square().sum(), [theta])
        >>> around.decrease([torch.tensor([-0.5, 0.0])])  # 2·3·0.5, and less by 0.5²
        Decrease(predicted=3.0, measured=2.75)
    """

    def __init__(self, loss: Callable[[], Tensor], weights: Sequence[Tensor]) -> None:
        self._loss, self._weights = loss, list(weights)
        value = loss()
        found = torch.autograd.grad(value, self._weights, allow_unused=True)
        self.value = value.item()
        self.gradient = [
            torch.zeros_like(p) if g is None else g
            for p, g in zip(self._weights, found, strict=True)
        ]

    @torch.no_grad()
    def decrease(self, change: Sequence[Tensor]) -> Decrease:
        """Measure the decrease by a step Δθ, one tensor per weight; the weights end as they
        were."""
        before = [p.clone() for p in self._weights]
        try:
            for p, delta in zip(self._weights, change, strict=True):
                p.add_(delta)
            value = self._loss().item()
        finally:
            for p, old in zip(self._weights, before, strict=True):
                p.copy_(old)
        return Decrease(-inner(self.gradient, change), self.value - value)

    def cosine(self, change: Sequence[Tensor]) -> float:
        """The cosine of the angle between Δθ and −g: 1 along steepest descent, negative if the loss
        increases at first; NaN if either is zero."""
        length = norm(self.gradient) * norm(change)
        return -inner(self.gradient, change) / length if length else math.nan


def of_relative_size(
    change: Sequence[Tensor], weights: Sequence[Tensor], size: float, per_tensor: bool = False
) -> list[Tensor]:
    """Scale a step to a relative size.

    Args:
        change: Δθ, one tensor per weight.
        weights: θ.
        size: ‖Δθ‖/‖θ‖ of the result, > 0, no unit.
        per_tensor: whether each tensor gets this relative size by a factor of its own, which
            changes the direction of the step as a whole; else one factor is for all.

    Raises:
        ValueError: the size is not a finite number > 0; or the weights, or the step, are all zero
            (with ``per_tensor``: those of one tensor), so that there is no factor.

    >>> theta, step = [torch.tensor([3.0, 4.0])], [torch.tensor([0.0, 2.0])]
    >>> of_relative_size(step, theta, 0.1)
    [tensor([0.0000, 0.5000])]
    """
    if not (math.isfinite(size) and size > 0):
        raise ValueError(f"a relative size must be a finite number > 0, got {size!r}")
    if per_tensor:
        pairs = zip(change, weights, strict=True)
        return [of_relative_size([delta], [p], size)[0] for delta, p in pairs]
    length, whole = norm(change), norm(weights)
    if whole == 0 or length == 0:
        what = "weights that are all zero have" if whole == 0 else "a step of zero has"
        raise ValueError(f"{what} no relative size")
    return [delta * (size * whole / length) for delta in change]


def inner(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    """aᵀb over all tensors, summed in double precision."""
    pairs = zip(a, b, strict=True)
    return sum((x.double() * y.double()).sum().item() for x, y in pairs)


def norm(tensors: Sequence[Tensor]) -> float:
    """The Euclidean norm over all tensors, in double precision."""
    return math.sqrt(inner(tensors, tensors))
