"""One step of one tensor: a direction, a step size and an update rule combined."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group, State, active
from gofau.optim.rules import RULES, Rule, Scalar, get_rule
from gofau.optim.stepsize import BASE, Evidence, Layer, StepSize

PLAIN = (Tensor, torch.nn.Parameter)
"""Tensor types that the fast paths accept. Subclasses (DTensor, FakeTensor) may redefine what an
operation does."""

SHORT = (torch.bfloat16, torch.float16)
"""Dtypes whose steps are computed in float32 and rounded once, at the end. All paths do so: the
result must not depend on the path."""


class Item(NamedTuple):
    """A parameter to be stepped. Every path is given a list of items."""

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

    This is the only definition of a step. The plain loop calls it. With the base's own step size
    the other paths trace it. With another step size they trace its two halves, `propose` and
    `move`, because the step size reads whole tensors between them
    (`gofau.optim.execution.sizing`).

    Args:
        stepsize: a step size whose value for a tensor depends only on that tensor (`is_local`).
        p: θ_{t−1}, not modified.
        g: the gradient as autograd left it.
        state: the buffers of ``direction``.
        h: the param group, with the direction's `coefficients`; numbers or 0-d tensors.
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
"""A function with the signature of `update` that defines a step: it returns the new weights."""


def move(rule: Rule, p: Tensor, d: Tensor, h: Group) -> Tensor:
    """θ_t from θ_{t−1} and the d that the rule is given: the second half of a step."""
    theta = decayed(p, h)
    return theta - rule(theta, d, h)


def decayed(p: Tensor, h: Group) -> Tensor:
    """θ·(1 − η·λ) with decoupled weight decay, which is applied outside the rule; else θ."""
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
    """Create the missing entries of a parameter's state: all of them before the first step, none
    later. Entries loaded from a torch.optim state_dict are kept."""
    wanted = (*(("step",) if direction.counts else ()), *direction.buffers(group))
    if all(name in state for name in wanted):
        return
    for name, value in direction.init(p, group).items():
        state.setdefault(name, value)


def all_zero(p: Tensor) -> bool:
    """Whether all elements are zero, so that the multiplicative rules could never move the tensor.
    False for an empty tensor and for one without values (on the meta device, or fake)."""
    if p.numel() == 0 or p.device.type == "meta":
        return False
    try:
        return not bool(p.detach().any())
    except RuntimeError:  # a FakeTensor's
        if type(p) in PLAIN:
            raise
        return False


def spares_zeros(group: Group) -> bool:
    """Whether tensors that are all zero at the start get the additive rule: ``zero_init`` is
    "additive", and the group's rule could not move them."""
    return group["zero_init"] == "additive" and not get_rule(group["rule"]).moves_zeros(group)


def rule_of(p: Tensor, state: State, group: Group) -> Rule:
    """The rule of a parameter: its group's rule, or the additive one for a tensor that was all zero
    at the start if `spares_zeros`. Then the state's ``zero_start`` says whether it was."""
    if not spares_zeros(group):
        return get_rule(group["rule"])
    if "zero_start" not in state:
        state["zero_start"] = all_zero(p)
    return RULES["additive"] if state["zero_start"] else get_rule(group["rule"])


def step_number(state: State, group: Group) -> Scalar:
    """Count one step and return the new t; 0 if the direction does not count steps. t is a tensor
    where reading it would wait for the device or break a graph capture, else a number."""
    count: Any = state.get("step")
    if count is None:
        return 0
    count += 1
    on_device = group["capturable"] or count.device.type != "cpu"
    if on_device or torch.compiler.is_compiling():
        return exact(count)
    return count.item()


def exact(t: Tensor) -> Tensor:
    """Step numbers in double precision, which 1 − β^t needs. Apple's GPUs have no float64."""
    return t if t.device.type == "mps" else t.double()
