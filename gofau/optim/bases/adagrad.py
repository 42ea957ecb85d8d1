"""Adagrad: the gradient divided by the root of the sum of its squares."""

from typing import Any

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group, State, counter
from gofau.optim.group_keys import arguments
from gofau.optim.hyperparameters import ETA_IN, ETA_OUT, GAMMA
from gofau.optim.optimizer import Params, RuleOptimizer
from gofau.optim.rules import Scalar
from gofau.optim.update import begin


class AdagradDirection(Direction):
    """m = g; l = 1 / ((1 + (t − 1)·lr_decay) · (√Σg² + ε)). As torch.optim.Adagrad."""

    def init(self, p: Tensor, group: Group) -> State:
        start = group["initial_accumulator_value"]
        return {"step": counter(p, group), "sum": torch.full_like(p, start)}

    def buffers(self, group: Group) -> tuple[str, ...]:
        return ("sum",)

    def coefficients(self, t: Scalar, group: Group) -> dict[str, Scalar]:
        return {"slowdown": 1 + (t - 1) * group["lr_decay"]}

    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | None]:
        total = state["sum"].add_(g * g)
        return g, 1 / (group["slowdown"] * (total.sqrt() + group["eps"]))


class Adagrad(RuleOptimizer):
    """d_t = g_t / ((1 + (t − 1)·lr_decay) · (√Σg² + ε)), as in torch.optim.Adagrad.

    Args:
        params, lr, weight_decay, foreach and what follows: as in `SGD`.
        lr_decay: ≥ 0, scales the steps by 1 / (1 + (t − 1)·lr_decay).
        initial_accumulator_value: ≥ 0, the initial value of Σg².
        eps: ε ≥ 0.
    """

    direction = AdagradDirection()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
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
        for group in self.param_groups:  # torch's Adagrad has its state before the first step
            for p in group["params"]:
                begin(self.direction, p, self.state[p], group)

    def share_memory(self) -> None:
        """Move the state into shared memory, as in torch: for training in several processes."""
        for state in self.state.values():
            state["sum"].share_memory_()
