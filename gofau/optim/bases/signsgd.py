"""signSGD and Signum: the sign of the gradient, or of its momentum."""

from typing import Any

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group, State, active, zeros
from gofau.optim.group_keys import arguments
from gofau.optim.hyperparameters import ETA_IN, ETA_OUT, GAMMA
from gofau.optim.optimizer import Params, RuleOptimizer
from gofau.optim.rules import Scalar


class SignSGDDirection(Direction):
    """m = sign(b_t), b_t = μ·b_{t−1} + (1 − μ)·g and b_0 = 0, which is sign(g) for μ = 0; l = 1.
    Source: arXiv 1802.04560."""

    counts = False

    def init(self, p: Tensor, group: Group) -> State:
        return {name: zeros(p) for name in self.buffers(group)}

    def buffers(self, group: Group) -> tuple[str, ...]:
        return ("momentum_buffer",) if active(group["momentum"]) else ()

    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | None]:
        mu = group["momentum"]
        if not active(mu):
            return torch.sign(g), None
        # An average, as in the paper: a plain sum has the same sign only while μ is constant, and
        # some schedulers cycle it.
        return torch.sign(state["momentum_buffer"].mul_(mu).add_((1 - mu) * g)), None


class SignSGD(RuleOptimizer):
    """d_t = sign(g_t), or with momentum (Signum) the sign of the average
    μ·b_{t−1} + (1 − μ)·g_t: every weight moves by η, up or down, or stays if that is 0. Source:
    Bernstein et al., *signSGD: compressed optimisation for non-convex problems*, arXiv 1802.04560.

    Args:
        params, lr, foreach and what follows: as in `SGD`; lr is 1e-4 unless told.
        momentum: μ ≥ 0; 0 is signSGD, 0.9 the usual Signum.
        weight_decay: λ ≥ 0, decoupled as in `AdamW`: inside the sign it would have no scale. That
            is our reading.
    """

    direction = SignSGDDirection()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-4,
        momentum: Scalar = 0,
        weight_decay: Scalar = 0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        rule: str = "additive",
        stepsize: str = "base",
        eta_in: Scalar = ETA_IN.default,
        eta_out: Scalar | None = ETA_OUT.default,
        gamma: Scalar = GAMMA.default,
        zero_init: str = "additive",
        **rule_options: Any,
    ) -> None:
        hyperparameters = arguments(locals()) | {"decoupled_weight_decay": True}
        super().__init__(params, hyperparameters, rule_options)
