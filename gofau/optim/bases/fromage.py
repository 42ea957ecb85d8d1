"""Fromage: every layer turns by an angle."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gofau.optim.bases.sgd import SGDDirection
from gofau.optim.directions import Group
from gofau.optim.group_keys import arguments, fixed
from gofau.optim.optimizer import Params, RuleOptimizer
from gofau.optim.projection import Projection, pays_on_lists
from gofau.optim.rules import Scalar
from gofau.optim.update import Item

GRADIENT = {"momentum": 0, "dampening": 0, "nesterov": False}
"""What makes of SGD's direction the gradient itself."""


class Shrink(Projection):
    """θ ← θ / √(1 + η²), by which a step of size η·‖θ‖ across θ leaves ‖θ‖ as it was. Source:
    Fromage, arXiv 2002.03432."""

    def __call__(self, items: Sequence[Item], group: Group) -> None:
        factor = (1 + group["lr"] ** 2) ** -0.5
        if pays_on_lists(items, group) and not isinstance(factor, Tensor):
            torch._foreach_mul_([x.p for x in items], factor)  # type: ignore[attr-defined]
            return
        for x in items:
            x.p.mul_(factor)


class Fromage(RuleOptimizer):
    """θ_t = (θ_{t−1} − η·(‖θ_{t−1}‖/‖g_t‖)·g_t) / √(1 + η²), norms per parameter tensor.

    The direction of `SGD`, the step size "trust_ratio", the additive rule, and a division after the
    step. Where ‖θ‖ or ‖g‖ is 0 their ratio counts as 1, so a tensor that is all zero gets a step of
    SGD. The rule is Fromage's own: it has no ``rule`` and no ``stepsize``. bfloat16 and float16 are
    rounded twice, after the step and after the division.

    Args:
        params, foreach and what follows: as in `SGD`.
        lr: η ≥ 0; about the angle, in radians, by which each tensor turns.

    Source: Bernstein, Vahdat, Yue, Liu, *On the distance between two neural networks and the
    stability of learning*, arXiv 2002.03432.
    """

    direction = SGDDirection()
    projection = Shrink()
    own_rule = True

    def __init__(
        self,
        params: Params,
        lr: Scalar = 0.01,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        own = fixed("additive", "trust_ratio") | GRADIENT | {"zero_init": "additive"}
        super().__init__(params, own | arguments(locals()), {})
