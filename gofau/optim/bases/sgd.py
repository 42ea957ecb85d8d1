"""SGD: the gradient, or its momentum buffer."""

from typing import Any

from torch import Tensor

from gofau.optim.directions import Direction, Group, State, active
from gofau.optim.group_keys import arguments
from gofau.optim.hyperparameters import ETA_IN, ETA_OUT, GAMMA
from gofau.optim.optimizer import Params, RuleOptimizer
from gofau.optim.rules import Scalar


class SGDDirection(Direction):
    """m = g, or the momentum buffer b_t = μ·b_{t−1} + (1 − dampening)·g with b_1 = g (Nesterov:
    m = g + μ·b_t); l = 1. As torch.optim.SGD."""

    counts = False

    def init(self, p: Tensor, group: Group) -> State:
        return {}

    def buffers(self, group: Group) -> tuple[str, ...]:
        return ("momentum_buffer",) if active(group["momentum"]) else ()

    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | None]:
        mu = group["momentum"]
        if not active(mu):
            return g, None
        b = state.get("momentum_buffer")
        if b is None:
            # torch detaches it, also with differentiable.
            b = state["momentum_buffer"] = g.clone()
        else:
            b.mul_(mu).add_((1 - group["dampening"]) * g)
        return (g + mu * b if group["nesterov"] else b), None


class SGD(RuleOptimizer):
    """Stochastic gradient descent: d_t = g_t, or the momentum buffer, dampening and Nesterov as in
    torch.optim.SGD.

    Args:
        params: parameters, named parameters, or dicts that define groups.
        lr: η ≥ 0, the learning rate; a number or a tensor of one element.
        momentum: μ ≥ 0.
        dampening: the gradient enters the momentum buffer times (1 − dampening).
        weight_decay: λ ≥ 0; λ·θ is added to the gradient and so passes through the rule.
        nesterov: needs momentum > 0 and dampening 0.
        maximize: step towards a larger loss instead of a smaller one.
        foreach, fused: the execution path, see `gofau.optim.execution.dispatch`. If both are None,
            it is chosen by the number and the device of the parameters.
        differentiable: let autograd record the step, as in torch. Not with foreach or fused.
        capturable: keep the step counter on the device, so that a CUDA graph can capture a step.
        rule and what follows: see `gofau.optim.bases`.
    """

    direction = SGDDirection()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: Scalar = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
        capturable: bool = False,
        rule: str = "additive",
        stepsize: str = "base",
        eta_in: Scalar = ETA_IN.default,
        eta_out: Scalar | None = ETA_OUT.default,
        gamma: Scalar = GAMMA.default,
        zero_init: str = "additive",
        **rule_options: Any,
    ) -> None:
        super().__init__(params, arguments(locals()), rule_options)
