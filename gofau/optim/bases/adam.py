"""Adam and AdamW: bias-corrected first and second moments of the gradient."""

from typing import Any

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group, State, counter, zeros
from gofau.optim.group_keys import arguments
from gofau.optim.hyperparameters import ETA_IN, ETA_OUT, GAMMA
from gofau.optim.optimizer import Params, RuleOptimizer
from gofau.optim.rules import Scalar


class AdamDirection(Direction):
    """Bias-corrected moments: m = m̂_t; l = 1 / (√v̂_t + ε). With amsgrad v̂ is the running maximum.
    As torch.optim.Adam (and AdamW, which differs only in weight decay)."""

    def init(self, p: Tensor, group: Group) -> State:
        return {"step": counter(p, group)} | {name: zeros(p) for name in self.buffers(group)}

    def buffers(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq") + (("max_exp_avg_sq",) if group["amsgrad"] else ())

    def coefficients(self, t: Scalar, group: Group) -> dict[str, Scalar]:
        beta1, beta2 = group["betas"]
        return {"unbias1": 1 / (1 - beta1**t), "unbias2": (1 - beta2**t) ** -0.5}

    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | None]:
        beta1, beta2 = group["betas"]
        first = state["exp_avg"]
        first.add_((1 - beta1) * (g - first))
        v = state["exp_avg_sq"].mul_(beta2).add_((1 - beta2) * g * g)
        if group["amsgrad"]:
            largest = state["max_exp_avg_sq"]
            # A clone: with differentiable, autograd needs the old values that copy_ overwrites.
            v = largest.copy_(torch.maximum(largest.clone(), v))
        return first * group["unbias1"], 1 / (v.sqrt() * group["unbias2"] + group["eps"])


class Adam(RuleOptimizer):
    """d_t = m̂_t / (√v̂_t + ε), as in torch.optim.Adam.

    Args:
        params, lr, weight_decay, foreach and what follows: as in `SGD`.
        betas: (β1, β2), each in [0, 1), the decays of the two moments.
        eps, amsgrad: ε ≥ 0; use the running maximum of v̂.
        decoupled_weight_decay: multiply θ by (1 − η·λ) before the step, outside the rule: `AdamW`.
    """

    direction = AdamDirection()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-3,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
        rule: str = "additive",
        stepsize: str = "base",
        eta_in: Scalar = ETA_IN.default,
        eta_out: Scalar | None = ETA_OUT.default,
        gamma: Scalar = GAMMA.default,
        zero_init: str = "additive",
        **rule_options: Any,
    ) -> None:
        super().__init__(params, arguments(locals()), rule_options)


class AdamW(RuleOptimizer):
    """Adam with decoupled weight decay, as in torch.optim.AdamW: θ is multiplied by (1 − η·λ),
    outside the rule, before the step.

    Args:
        weight_decay: λ ≥ 0; by default 0.01, as in torch.
        params and all others: as in `Adam`.
    """

    direction = AdamDirection()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-3,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
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

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # as in torch: the state of an Adam can be loaded here
            group["decoupled_weight_decay"] = True
