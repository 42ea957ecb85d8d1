"""Directions: what a base optimizer makes of a gradient, before any rule and any learning rate.

A direction returns ``(m, l)``, the paper's symbols: the direction m_t and the adaptive step size
l_t, neither of which knows a learning rate. What a rule receives is

    d = m · l

m has the shape of the parameter; l is a tensor of that shape, or None for 1. The state of a
parameter is a dict of tensors under the names that torch.optim uses, so that state_dicts can be
exchanged.

Each base has its formula in one place, its file in `gofau.optim.bases`. The plain loop runs it on
each parameter, the other paths trace it once and run what they saw on many; so it is written in
elementwise operations, and every hyperparameter in it may be a number or a 0-d tensor. What depends
on the step number alone is computed apart, as `Direction.coefficients`, once a step and not per
element.

The formulas follow torch.optim where it has them, which is also the independent implementation the
tests compare with; the source of each is named there. The authors' slides also correct the bias of
RMSprop's v; torch and their code do not, and neither is it done here. Their code corrects the bias
of Adam's m outside tanh, their slides inside; here m is m̂, so it is inside. In the same way
Adagrad's lr_decay, which divides η and η_out in their code, is a part of l here, as in torch.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from gofau.optim.rules import Scalar

State = dict[str, Any]
Group = dict[str, Any]


class Direction(ABC):
    """Gradient + state → (m, l). Implementations hold no data of their own.

    Attributes:
        counts: whether `init` makes a ``step``, in which the steps are counted.
    """

    counts: ClassVar[bool] = True

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


class NoDirection(Direction):
    """In place of a direction where d is at hand already: it is never asked."""

    def init(self, p: Tensor, group: Group) -> State:
        return {}

    def buffers(self, group: Group) -> tuple[str, ...]:
        return ()

    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | None]:
        raise NotImplementedError


NONE = NoDirection()


def active(hyperparameter: Scalar) -> bool:
    """False where the term it stands for vanishes. A tensor counts as active: asking it would wait
    for the device, and the term is right, if idle, at zero."""
    return isinstance(hyperparameter, Tensor) or hyperparameter != 0


def counter(p: Tensor, group: Group) -> Tensor:
    """``step`` as in torch: a 0-d float on the CPU (reading it never waits for the device), or on
    the parameter's device when the step is captured in a CUDA graph or fused."""
    on_device = group.get("capturable") or group.get("fused")
    # From a value, as in torch: under a FakeTensorMode that one is known.
    return torch.tensor(0.0, dtype=torch.float32, device=p.device if on_device else "cpu")


def zeros(p: Tensor) -> Tensor:
    return torch.zeros_like(p, memory_format=torch.preserve_format)
