"""Directions: what a base optimizer makes of a gradient, before any rule and any learning rate.

A direction returns ``(m, l)``, the paper's symbols: the direction m_t and the adaptive step size
l_t, neither of which knows a learning rate. What a rule receives is

    d = m · l

m has the shape of the parameter; l is a tensor of that shape, or None for 1. The state of a
parameter is a dict of tensors under the names that torch.optim uses, so that state_dicts can be
exchanged.

This is the only place where these formulas stand. The plain loop runs them on each parameter, the
other paths trace them once and run what they saw on many; so they are written in elementwise
operations, and every hyperparameter in them may be a number or a 0-d tensor. What depends on the
step number alone is computed apart, as `Direction.coefficients`, once a step and not per element.

Every formula follows torch.optim, which is also the independent implementation the tests compare
with; the source of each is named there. The authors' slides also correct the bias of RMSprop's v;
torch and their code do not, and neither is it done here. Their code corrects the bias of Adam's m
outside tanh, their slides inside; here m is m̂, so it is inside. In the same way Adagrad's lr_decay,
which divides η and η_out in their code, is a part of l here, as in torch.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from gofau.optim.rules import Scalar

State = dict[str, Any]
Group = dict[str, Any]


class Direction(ABC):
    """Gradient + state → (m, l). Implementations hold no data of their own."""

    @abstractmethod
    def init(self, p: Tensor, group: Group) -> State:
        """The state of a parameter before its first step."""

    @abstractmethod
    def buffers(self, group: Group) -> tuple[str, ...]:
        """Names of the state tensors shaped like the parameter that a step needs and updates."""

    def coefficients(self, t: Scalar, group: Group) -> dict[str, Scalar]:
        """What a step needs to know of its number t = 1, 2, …, under names of its own.

        Args:
            t: a number, a 0-d tensor, or a tensor of many step numbers.
            group: the param group; numbers or 0-d tensors.
        """
        return {}

    @abstractmethod
    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | None]:
        """Advance the buffers in ``state`` by one step and return (m, l).

        Args:
            g: gradient, weight decay of the L2 kind already added; not modified.
            state: what `init` made; buffers are updated in place.
            group: the param group with the hyperparameters, and with the `coefficients` of t.
        """


def active(hyperparameter: Scalar) -> bool:
    """False where the term it stands for vanishes. A tensor counts as active: asking it would wait
    for the device, and the term is right, if idle, at zero."""
    return isinstance(hyperparameter, Tensor) or hyperparameter != 0


def _counter(p: Tensor, group: Group) -> Tensor:
    """``step`` as in torch: a 0-d float on the CPU (reading it never waits for the device), or on
    the parameter's device when the step is captured in a CUDA graph or fused."""
    on_device = group.get("capturable") or group.get("fused")
    # From a value, as in torch: under a FakeTensorMode that one is known.
    return torch.tensor(0.0, dtype=torch.float32, device=p.device if on_device else "cpu")


def _zeros(p: Tensor) -> Tensor:
    return torch.zeros_like(p, memory_format=torch.preserve_format)


class SGD(Direction):
    """m = g, or the momentum buffer b_t = μ·b_{t−1} + (1 − dampening)·g with b_1 = g (Nesterov:
    m = g + μ·b_t); l = 1. As torch.optim.SGD."""

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
            b = state["momentum_buffer"] = g.clone()  # torch detaches it, differentiable or not
        else:
            b.mul_(mu).add_((1 - group["dampening"]) * g)
        return (g + mu * b if group["nesterov"] else b), None


class Adagrad(Direction):
    """m = g; l = 1 / ((1 + (t − 1)·lr_decay) · (√Σg² + ε)). As torch.optim.Adagrad."""

    def init(self, p: Tensor, group: Group) -> State:
        start = group["initial_accumulator_value"]
        return {"step": _counter(p, group), "sum": torch.full_like(p, start)}

    def buffers(self, group: Group) -> tuple[str, ...]:
        return ("sum",)

    def coefficients(self, t: Scalar, group: Group) -> dict[str, Scalar]:
        return {"slowdown": 1 + (t - 1) * group["lr_decay"]}

    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | None]:
        total = state["sum"].add_(g * g)
        return g, 1 / (group["slowdown"] * (total.sqrt() + group["eps"]))


class RMSprop(Direction):
    """v_t = α·v_{t−1} + (1 − α)·g²; m = g and l = 1 / (√v_t + ε). Centered: v_t less the square of
    the gradient's running mean. With momentum the normalised gradient is what is accumulated:
    m = b_t = μ·b_{t−1} + g / (√v_t + ε) and l = 1. As torch.optim.RMSprop.
    """

    def init(self, p: Tensor, group: Group) -> State:
        return {"step": _counter(p, group)} | {name: _zeros(p) for name in self.buffers(group)}

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


class Adam(Direction):
    """Bias-corrected moments: m = m̂_t; l = 1 / (√v̂_t + ε), v̂ the running maximum under amsgrad.
    As torch.optim.Adam (and AdamW, which differs in weight decay alone)."""

    def init(self, p: Tensor, group: Group) -> State:
        return {"step": _counter(p, group)} | {name: _zeros(p) for name in self.buffers(group)}

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
            # Of a clone, because autograd may need what the maximum was taken of (differentiable).
            v = largest.copy_(torch.maximum(largest.clone(), v))
        return first * group["unbias1"], 1 / (v.sqrt() * group["unbias2"] + group["eps"])
