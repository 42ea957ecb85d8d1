"""Lion: the sign of an interpolation between the momentum and the gradient."""

from typing import Any

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group, State, zeros
from gofau.optim.group_keys import arguments
from gofau.optim.hyperparameters import ETA_IN, ETA_OUT, GAMMA
from gofau.optim.optimizer import Params, RuleOptimizer
from gofau.optim.rules import Scalar


class LionDirection(Direction):
    """m = sign(β1·b_{t−1} + (1 − β1)·g), then b_t = β2·b_{t−1} + (1 − β2)·g; b_0 = 0 and l = 1.
    Source: arXiv 2302.06675."""

    counts = False

    def init(self, p: Tensor, group: Group) -> State:
        return {name: zeros(p) for name in self.buffers(group)}

    def buffers(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg",)

    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | None]:
        beta1, beta2 = group["betas"]
        b = state["exp_avg"]
        m = torch.sign(beta1 * b + (1 - beta1) * g)
        b.mul_(beta2).add_((1 - beta2) * g)
        return m, None


class Lion(RuleOptimizer):
    """d_t = sign(β1·b_{t−1} + (1 − β1)·g_t): every weight moves by η, up or down. Before the step θ
    is multiplied by (1 − η·λ), outside the rule. Source: arXiv 2302.06675, which recommends a
    learning rate 3 to 10 times smaller than AdamW's and a weight decay larger by the same factor.

    Args:
        params, lr, foreach and what follows: as in `SGD`; lr is by default 1e-4, as in the paper.
        betas: (β1, β2), each in [0, 1): β1 of the interpolation, β2 of the momentum b.
        weight_decay: λ ≥ 0, decoupled as in `AdamW`.
    """

    direction = LionDirection()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-4,
        betas: tuple[Scalar, Scalar] = (0.9, 0.99),
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
