"""One step of one tensor: where a direction, a step size and an update rule meet."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group, State, active
from gofau.optim.rules import RULES, Rule, Scalar, get_rule
from gofau.optim.stepsize import BASE, Evidence, Layer, StepSize

PLAIN = (Tensor, torch.nn.Parameter)
"""What the fast paths take: to subclasses (DTensor, FakeTensor) an operation may mean more."""

SHORT = (torch.bfloat16, torch.float16)
"""Floats that a step is computed in float32 for, and rounded to once, at its end: on every path,
so that the result does not depend on which of them is taken."""


class Item(NamedTuple):
    """A parameter that is about to be stepped: what every path is given a list of."""

    p: Tensor
    g: Tensor
    state: State
    rule: Rule


def update(
    direction: Direction,
    stepsize: StepSize,
    rule: Rule,
    p: Tensor,
    g: Tensor,
    state: State,
    h: Group,
) -> Tensor:
    """θ_t = θ_{t−1} − ξ(θ_{t−1}, s·m_t·l_t; η); advances the state's buffers in place.

    The one statement of the step. The plain loop calls it. With the base's own step size the other
    paths trace it; with another one they trace its two halves, `propose` and `move`, for between
    them whole tensors are looked at (`gofau.optim.execution.sizing`).

    Args:
        stepsize: one whose value for a tensor depends on that tensor alone (`is_local`).
        p: θ_{t−1}, left as it is.
        g: the gradient as autograd left it.
        state: the buffers of ``direction``.
        h: the param group with the direction's `coefficients`; numbers or 0-d tensors.
    """
    if stepsize is BASE:
        theta = decayed(p, h)
        return theta - rule(theta, propose(direction, p, g, state, h), h)
    d = propose(direction, p, g, state, h)
    (value,) = stepsize.values([Layer(p, d, g, state)], h, Evidence())
    if stepsize.role == "eta":
        return move(rule, p, d, h | {"lr": value})
    return move(rule, p, value * d, h)


Statement = Callable[[Direction, StepSize, Rule, Tensor, Tensor, State, Group], Tensor]
"""What a step does, in the form of `update`: returns the new weights."""


def move(rule: Rule, p: Tensor, d: Tensor, h: Group) -> Tensor:
    """θ_t of θ_{t−1} and what the rule is given: the second half of a step."""
    theta = decayed(p, h)
    return theta - rule(theta, d, h)


def decayed(p: Tensor, h: Group) -> Tensor:
    """θ after decoupled weight decay, θ·(1 − η·λ), which is outside the rule; else θ."""
    if h.get("decoupled_weight_decay") and active(h["weight_decay"]):
        return p * (1 - h["lr"] * h["weight_decay"])
    return p


def propose(direction: Direction, p: Tensor, g: Tensor, state: State, h: Group) -> Tensor:
    """d = m·l, the first half of a step; advances the state's buffers. Arguments as in `update`."""
    if h["maximize"]:
        g = -g
    if not h.get("decoupled_weight_decay") and active(h["weight_decay"]):
        g = g + h["weight_decay"] * p
    m, size = direction(g, state, h)
    return m if size is None else m * size


def begin(direction: Direction, p: Tensor, state: State, group: Group) -> None:
    """Make what is missing of a parameter's state: all of it before the first step, nothing later.
    A state loaded from torch.optim keeps what it has."""
    wanted = (*(("step",) if direction.counts else ()), *direction.buffers(group))
    if all(name in state for name in wanted):
        return
    for name, value in direction.init(p, group).items():
        state.setdefault(name, value)


def all_zero(p: Tensor) -> bool:
    """Whether a tensor is one that the multiplicative rules could never move. Of a tensor without
    values (on the meta device, or fake) nobody can tell: then it is not."""
    if p.numel() == 0 or p.device.type == "meta":
        return False
    try:
        return not bool(p.detach().any())
    except RuntimeError:  # a FakeTensor's
        if type(p) in PLAIN:
            raise
        return False


def spares_zeros(group: Group) -> bool:
    """Whether tensors that are all zero at the start get the additive rule: ``zero_init`` says so,
    and the group's rule could not move them."""
    return group["zero_init"] == "additive" and not get_rule(group["rule"]).moves_zeros(group)


def rule_of(p: Tensor, state: State, group: Group) -> Rule:
    """The rule of a parameter: its group's, or the additive one where `spares_zeros` says so. What
    it was at the start is kept in the state as ``zero_start``, where that matters."""
    if not spares_zeros(group):
        return get_rule(group["rule"])
    if "zero_start" not in state:
        state["zero_start"] = all_zero(p)
    return RULES["additive"] if state["zero_start"] else get_rule(group["rule"])


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
