"""RMSprop: the gradient divided by the root of its running mean square."""

from typing import Any

from torch import Tensor

from gofau.optim.directions import Direction, Group, State, active, counter, zeros
from gofau.optim.group_keys import arguments
from gofau.optim.hyperparameters import ETA_IN, ETA_OUT, GAMMA
from gofau.optim.optimizer import Params, RuleOptimizer
from gofau.optim.rules import Scalar


class RMSpropDirection(Direction):
    """v_t = α·v_{t−1} + (1 − α)·g²; m = g and l = 1 / (√v_t + ε). If centered, the square of the
    gradient's running mean is subtracted from v_t. Momentum accumulates the normalised gradient:
    m = b_t = μ·b_{t−1} + g / (√v_t + ε) and l = 1. As torch.optim.RMSprop.
    """

    def init(self, p: Tensor, group: Group) -> State:
        return {"step": counter(p, group)} | {name: zeros(p) for name in self.buffers(group)}

    def buffers(self, group: Group) -> tuple[str, ...]:
        momentum = ("momentum_buffer",) if active(group["momentum"]) else ()
        return ("square_avg", *momentum) + (("grad_avg",) if group["centered"] else ())

    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | None]:
        alpha, mu = group["alpha"], group["momentum"]
        v = state["square_avg"].mul_(alpha).add_((1 - alpha) * g * g)
        if group["centered"]:
            mean = state["grad_avg"]
            mean.add_((1 - alpha) * (g - mean))
            v = v - mean * mean
        denominator = v.sqrt() + group["eps"]
        if not active(mu):
            return g, 1 / denominator
        return state["momentum_buffer"].mul_(mu).add_(g / denominator), None


class RMSprop(RuleOptimizer):
    """d_t = g_t / (√v_t + ε), v_t the running mean of g²; momentum and centered as in
    torch.optim.RMSprop.

    Args:
        params, lr, weight_decay, foreach and what follows: as in `SGD`.
        alpha: α ≥ 0, the decay of the running means.
        eps: ε ≥ 0.
        momentum: μ ≥ 0, accumulates the normalised gradient.
        centered: subtract the square of the gradient's running mean from v_t.
    """

    direction = RMSpropDirection()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        *,
        fused: bool | None = None,
        rule: str = "additive",
        stepsize: str = "base",
        eta_in: Scalar = ETA_IN.default,
        eta_out: Scalar | None = ETA_OUT.default,
        gamma: Scalar = GAMMA.default,
        zero_init: str = "additive",
        **rule_options: Any,
    ) -> None:
        super().__init__(params, arguments(locals()), rule_options)
