"""Directions: what a base optimizer computes from a gradient, without rule and learning rate.

A direction returns ``(m, l)``, the paper's symbols: the direction m_t and the adaptive step size
l_t. Neither contains the learning rate. A rule receives

    d = m · l

m has the shape of the parameter; l is a tensor of that shape, or None for 1. The state of a
parameter is a dict of tensors under the names that torch.optim uses, so that state_dicts can be
exchanged.

The formula of each base is in one place, its file in `gofau.optim.bases`. The plain loop runs it on
each parameter; the other paths trace it once and run the trace on many tensors. So it consists of
elementwise operations, and every hyperparameter in it may be a number or a 0-d tensor. What depends
only on the step number is computed separately, in `Direction.coefficients`: once per step and not
per element.

The formulas follow torch.optim where it has them, which is also the independent implementation the
tests compare with; each file names its source. The authors' slides also correct the bias of
RMSprop's v; torch and the authors' code do not, and neither do we. Their code corrects the bias of
Adam's m outside tanh, their slides inside; here m is m̂, so it is inside. In the same way
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
    """The base class of directions: gradient + state → (m, l). Subclasses hold no data.

    Attributes:
        counts: whether `init` creates a ``step``, the counter of steps.
    """

    counts: ClassVar[bool] = True

    @abstractmethod
    def init(self, p: Tensor, group: Group) -> State:
        """Return the state of a parameter before its first step."""

    @abstractmethod
    def buffers(self, group: Group) -> tuple[str, ...]:
        """Names of the state tensors, of the parameter's shape, that a step reads and updates."""

    def coefficients(self, t: Scalar, group: Group) -> dict[str, Scalar]:
        """Values that depend only on the step number t = 1, 2, …, by name.

        Args:
            t: a number, a 0-d tensor, or a tensor of many step numbers.
            group: the param group; numbers or 0-d tensors.
        """
        return {}

    @abstractmethod
    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | None]:
        """Advance the buffers in ``state`` by one step and return (m, l).

        Args:
            g: the gradient with L2 weight decay already added; not modified.
            state: the state that `init` made; its buffers are updated in place.
            group: the param group with the hyperparameters and the `coefficients` of t.
        """


class NoDirection(Direction):
    """A placeholder for steps whose d is already known; never called."""

    def init(self, p: Tensor, group: Group) -> State:
        return {}

    def buffers(self, group: Group) -> tuple[str, ...]:
        return ()

    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | None]:
        raise NotImplementedError


NONE = NoDirection()


def active(hyperparameter: Scalar) -> bool:
    """Whether the term with this factor has to be computed: False for the number 0. A tensor counts
    as active: reading it would wait for the device, and the term is also correct at zero."""
    return isinstance(hyperparameter, Tensor) or hyperparameter != 0


def counter(p: Tensor, group: Group) -> Tensor:
    """A new step counter as in torch: a 0-d float on the CPU (reading it never waits for the
    device), or on the parameter's device if the step is captured in a CUDA graph or fused."""
    on_device = group.get("capturable") or group.get("fused")
    # torch.tensor(0.0), not zeros(()), as in torch: a FakeTensorMode then knows the value.
    return torch.tensor(0.0, dtype=torch.float32, device=p.device if on_device else "cpu")


def zeros(p: Tensor) -> Tensor:
    return torch.zeros_like(p, memory_format=torch.preserve_format)
