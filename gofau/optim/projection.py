"""Projections: they bring the weights back into a set after every step.

A projection reads whole tensors or neurons, which a recorded step cannot. So it runs after the
step, with the same code on every execution path (except that `execution.clipping` clips earlier):

    θ_t = P(θ_{t−1} − ξ(θ_{t−1}, m_t·l_t; η, …))

An optimizer names one as its ``projection``.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gofau.optim.directions import Group, State
from gofau.optim.update import PLAIN, SHORT, Item


class Projection(ABC):
    """Weights → weights of a set, in place. Implementations hold no data of their own."""

    def prepare(self, p: Tensor) -> None:
        """Change p in place before its first gradient; called when an optimizer is given the
        parameter. Does nothing unless overridden."""
        return

    def begin(self, p: Tensor, state: State, group: Group) -> None:
        """Store in the state what the projection needs to know of the start, under its own name;
        called before every step. When a state_dict is loaded, numbers stay as they are, and torch
        casts tensors to the parameter's dtype. Does nothing unless overridden."""
        return

    @abstractmethod
    def __call__(self, items: Sequence[Item], group: Group) -> None:
        """Project every item's p in place; it was stepped just now. Nothing may wait for the
        device.

        Args:
            items: the parameters of the group that had a gradient, with their states.
            group: the param group; hyperparameters as numbers or 0-d tensors.
        """


class Clamp(Projection):
    """θ ← clip(θ, ±p_scale · rms(θ_0)), the rms taken over the tensor as its first step finds it,
    and kept in the state as ``theta_rms``. A tensor that is all zero then is not clamped. Source:
    Madam, arXiv 2006.14560."""

    def begin(self, p: Tensor, state: State, group: Group) -> None:
        if "theta_rms" not in state:
            state["theta_rms"] = rms(p)

    def __call__(self, items: Sequence[Item], group: Group) -> None:
        some = [x for x in items if x.state["theta_rms"] > 0]
        bounds: list[Any] = [group["p_scale"] * x.state["theta_rms"] for x in some]
        if some and pays_on_lists(some, group) and isinstance(bounds[0], float):
            ps = [x.p for x in some]
            torch._foreach_clamp_min_(ps, [-b for b in bounds])  # type: ignore[attr-defined]
            torch._foreach_clamp_max_(ps, bounds)  # type: ignore[attr-defined]
            return
        for x, bound in zip(some, bounds, strict=True):
            x.p.clamp_(-bound, bound)


def pays_on_lists(items: Sequence[Item], group: Group) -> bool:
    """Whether one operation on a list of tensors is possible and cheaper than one per tensor: it is
    on an accelerator, where it needs one launch."""
    plain = all(type(x.p) in PLAIN and x.p.device.type != "cpu" for x in items)
    return plain and not group["differentiable"]


def rms(p: Tensor) -> float:
    """The root mean square of a tensor, as a number; 0 for an empty tensor and for one without
    values (on the meta device, or fake)."""
    if p.numel() == 0 or p.device.type == "meta":
        return 0.0
    norm: Callable[..., Any] = torch.linalg.vector_norm  # type: ignore[reportUnknownMemberType]
    x: Any = norm(p.detach(), dtype=torch.float32 if p.dtype in SHORT else p.dtype)
    if hasattr(x, "full_tensor"):  # of a sharded tensor (DTensor): that of the whole
        x = x.full_tensor()
    try:
        return float(x.item()) / math.sqrt(p.numel())
    except RuntimeError:  # a FakeTensor's
        if type(p) in PLAIN:
            raise
        return 0.0
