"""Directions: what a base optimizer makes of a gradient, before any rule and any learning rate.

A direction returns ``(m, s)``: the direction m_t (paper symbol m) and the part of the step size
that is not the learning rate, so that ``l_t = η·s`` and the proposal that a rule receives is

    u = m · (η · s)

m has the shape of the parameter; s is a number or a tensor of that shape. The state of a parameter
is a dict of tensors under the names that torch.optim uses, so that state_dicts can be exchanged.

Every formula follows torch.optim, which is also the independent implementation the tests compare
with; the source of each is named there.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

State = dict[str, Any]
Group = dict[str, Any]


class Direction(ABC):
    """Gradient + state → (m, s). Implementations hold no data of their own."""

    torch_names: Mapping[str, str] = MappingProxyType({})
    """torch.optim's name of a hyperparameter → ours, where they differ."""

    @abstractmethod
    def init(self, p: Tensor, group: Group) -> State:
        """The state of a parameter before its first step."""

    @abstractmethod
    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | float]:
        """Advance ``state`` by one step and return (m, s).

        Args:
            g: gradient, weight decay of the L2 kind already added; not modified.
            state: what `init` made; updated in place.
            group: the param group with the hyperparameters.
        """


def _counter(p: Tensor, group: Group) -> Tensor:
    """``step`` as in torch: a 0-d float on the CPU (reading it never waits for the device), or on
    the parameter's device when the step is captured in a CUDA graph."""
    device = p.device if group.get("capturable") else "cpu"
    return torch.zeros((), dtype=torch.float32, device=device)


def _advance(state: State, group: Group) -> Tensor | float:
    """Count one step; the new t as a tensor if captured, else as a number."""
    state["step"] += 1
    return state["step"] if group.get("capturable") else state["step"].item()


def _zeros(p: Tensor) -> Tensor:
    return torch.zeros_like(p, memory_format=torch.preserve_format)


class SGD(Direction):
    """m = g, or the momentum buffer b_t = μ·b_{t−1} + (1 − dampening)·g with b_1 = g (Nesterov:
    m = g + μ·b_t); s = 1. As torch.optim.SGD."""

    def init(self, p: Tensor, group: Group) -> State:
        return {}

    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | float]:
        mu = group["momentum"]
        if mu == 0:
            return g, 1.0
        b = state.get("momentum_buffer")
        if b is None:
            b = state["momentum_buffer"] = g.detach().clone()
        else:
            b.mul_(mu).add_(g, alpha=1 - group["dampening"])
        return (g.add(b, alpha=mu) if group["nesterov"] else b), 1.0


class Adagrad(Direction):
    """m = g; s = 1 / ((1 + (t − 1)·lr_decay) · (√Σg² + ε)). As torch.optim.Adagrad."""

    def init(self, p: Tensor, group: Group) -> State:
        start = group["initial_accumulator_value"]
        return {"step": _counter(p, group), "sum": torch.full_like(p, start)}

    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | float]:
        t = _advance(state, group)
        state["sum"].addcmul_(g, g)
        denominator = state["sum"].sqrt().add_(group["eps"])
        return g, denominator.mul_(1 + (t - 1) * group["lr_decay"]).reciprocal_()


class RMSprop(Direction):
    """v_t = ρ·v_{t−1} + (1 − ρ)·g²; m = g and s = 1 / (√v_t + ε). Centered: v_t less the square of
    the gradient's running mean. With momentum the normalised gradient is what is accumulated:
    m = b_t = μ·b_{t−1} + g / (√v_t + ε) and s = 1. As torch.optim.RMSprop, whose ``alpha`` is ρ.
    """

    torch_names = MappingProxyType({"alpha": "rho"})

    def init(self, p: Tensor, group: Group) -> State:
        state = {"step": _counter(p, group), "square_avg": _zeros(p)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = _zeros(p)
        if group["centered"]:
            state["grad_avg"] = _zeros(p)
        return state

    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | float]:
        _advance(state, group)
        rho, v = group["rho"], state["square_avg"]
        v.mul_(rho).addcmul_(g, g, value=1 - rho)
        if group["centered"]:
            mean = state["grad_avg"].lerp_(g, 1 - rho)
            v = v.addcmul(mean, mean, value=-1)
        denominator = v.sqrt().add_(group["eps"])
        if group["momentum"] == 0:
            return g, denominator.reciprocal_()
        b = state["momentum_buffer"].mul_(group["momentum"]).addcdiv_(g, denominator)
        return b, 1.0


class Adam(Direction):
    """Bias-corrected moments: m = m̂_t; s = 1 / (√v̂_t + ε), v̂ the running maximum under amsgrad.
    As torch.optim.Adam (and AdamW, which differs in weight decay alone)."""

    def init(self, p: Tensor, group: Group) -> State:
        state = {"step": _counter(p, group), "exp_avg": _zeros(p), "exp_avg_sq": _zeros(p)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = _zeros(p)
        return state

    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | float]:
        t = _advance(state, group)
        beta1, beta2 = group["betas"]
        first = state["exp_avg"].lerp_(g, 1 - beta1)
        v = state["exp_avg_sq"].mul_(beta2).addcmul_(g, g, value=1 - beta2)
        if group["amsgrad"]:
            v = state["max_exp_avg_sq"].copy_(torch.maximum(state["max_exp_avg_sq"], v))
        denominator = v.sqrt().div_((1 - beta2**t) ** 0.5).add_(group["eps"])
        return first / (1 - beta1**t), denominator.reciprocal_()
