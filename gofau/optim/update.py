"""One step of one tensor: where a direction, a step size and an update rule meet."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group, State, active
from gofau.optim.rules import RULES, Rule, Scalar, get_rule

PLAIN = (Tensor, torch.nn.Parameter)
"""What the fast paths take: subclasses (DTensor, FakeTensor) may mean something else by it all."""


class Item(NamedTuple):
    """A parameter that is about to be stepped: what every path is given a list of."""

    p: Tensor
    g: Tensor
    state: State
    rule: Rule


def update(direction: Direction, rule: Rule, p: Tensor, g: Tensor, state: State, h: Group) -> None:
    """θ ← θ − ξ(θ, m·(η·s)), in place, and the state's buffers with it.

    The one statement of the step: the plain loop calls it, the other paths trace it.

    Args:
        p: θ.
        g: the gradient as autograd left it.
        state: the buffers of ``direction``.
        h: the param group with the direction's `coefficients`; numbers or 0-d tensors.
    """
    if h.get("decoupled_weight_decay"):
        p.mul_(1 - h["lr"] * h["weight_decay"])
    u = propose(direction, p, g, state, h)
    p.sub_(rule(p, u, h))


Statement = Callable[[Direction, Rule, Tensor, Tensor, State, Group], None]
"""What a step does, in the form of `update`."""


def propose(direction: Direction, p: Tensor, g: Tensor, state: State, h: Group) -> Tensor:
    """u = m·(η·s), what the rule is given; advances the state's buffers. Arguments as in `update`,
    p already decayed where the decay is decoupled."""
    if h["maximize"]:
        g = -g
    if not h.get("decoupled_weight_decay") and active(h["weight_decay"]):
        g = g + h["weight_decay"] * p
    m, s = direction(g, state, h)
    return m * (h["lr"] * s)


def begin(direction: Direction, p: Tensor, state: State, group: Group) -> None:
    """First step of a parameter. A state loaded from torch.optim keeps what it has."""
    for name, value in direction.init(p, group).items():
        state.setdefault(name, value)
    state["zero_start"] = all_zero(p)


def all_zero(p: Tensor) -> bool:
    """Whether a tensor is one that the multiplicative rules could never move."""
    return p.numel() > 0 and not bool(p.detach().any())


def rule_of(state: State, group: Group) -> Rule:
    """The group's rule, or the additive one where ``zero_init`` says so."""
    unmovable = state["zero_start"] and group["zero_init"] == "additive"
    return RULES["additive"] if unmovable else get_rule(group["rule"])


def step_number(state: State, group: Group) -> Scalar:
    """Count one step; the new t as a tensor where reading it would wait for the device or end the
    capture of a graph, else as a number. 0 where the direction does not count."""
    count: Any = state.get("step")
    if count is None:
        return 0
    count += 1
    on_device = group["capturable"] or count.device.type != "cpu"
    if on_device or torch.compiler.is_compiling():
        return exact(count)
    return count.item()


def exact(t: Tensor) -> Tensor:
    """Step numbers in double precision, in which 1 − β^t is to be had; Apple's GPUs know none."""
    return t if t.device.type == "mps" else t.double()
