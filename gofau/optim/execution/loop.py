"""The plain path: one parameter after the other. The reference for the other paths."""

from collections.abc import Iterable

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group, State
from gofau.optim.rules import Rule
from gofau.optim.stepsize import BASE, StepSize
from gofau.optim.update import SHORT, Item, Statement, step_number, update


def step(
    direction: Direction,
    group: Group,
    items: Iterable[Item],
    statement: Statement = update,
    stepsize: StepSize = BASE,
) -> None:
    """Step every item with torch's ordinary operations; see `gofau.optim.update`."""
    for p, g, state, rule in items:
        t = step_number(state, group)
        h = group | direction.coefficients(t, group)
        carry_out(direction, stepsize, rule, p, g, state, h, statement)


def carry_out(
    direction: Direction,
    stepsize: StepSize,
    rule: Rule,
    p: Tensor,
    g: Tensor,
    state: State,
    h: Group,
    statement: Statement = update,
) -> None:
    """Apply ``statement`` to p and to the state's buffers, in place.

    Short floats are computed in float32. With ``differentiable`` autograd keeps tensors of the step
    for the backward pass, so they are copies that no later step overwrites.
    """
    short = p.dtype in SHORT
    if not short and not h.get("differentiable"):
        p.copy_(statement(direction, stepsize, rule, p, g, state, h))
        return
    dtype = torch.float32 if short else p.dtype
    buffers = {n: x for n in direction.buffers(h) if (x := state.get(n)) is not None}
    own: State = {name: x.to(dtype, copy=True) for name, x in buffers.items()}
    p.copy_(statement(direction, stepsize, rule, p.to(dtype, copy=True), g.to(dtype), own, h))
    for name, x in own.items():
        if h.get("differentiable") or name not in buffers:
            state[name] = x.to(p.dtype)
        else:
            buffers[name].copy_(x)
