"""A step whose step size looks at whole tensors: propose, size, move.

The plain loop carries out `update` as it is written. The fast paths record elementwise operations
only, and a norm is none; so there the statement is carried out in its two halves, each recorded by
itself: first d of every tensor, then, with the step sizes that follow from all of them, the rule.
Between the halves d has memory of its own, as large as the parameters; short floats are widened to
float32 for the whole step and rounded once, at its end, as on every path.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gofau.optim.directions import NONE, Direction, Group, State, active
from gofau.optim.execution import dispatch, loop
from gofau.optim.rules import RULES, Rule
from gofau.optim.stepsize import BASE, Evidence, Layer, StepSize, get_stepsize
from gofau.optim.update import PLAIN, SHORT, Item, move, propose

Watch = Callable[[Tensor, Tensor, Rule, Group], None]
"""Told of every parameter, its d after the step size, its rule and its hyperparameters."""


def step(
    direction: Direction,
    group: Group,
    items: list[Item],
    evidence: Evidence | None = None,
    watch: Watch | None = None,
) -> None:
    """Step every item with the step size, the rule and along the path that its group says.

    Args:
        evidence: what the step size needs to be told.
        watch: who is told of d; of step sizes other than the base's alone.
    """
    stepsize = get_stepsize(group["stepsize"])
    if stepsize is BASE:
        dispatch.step(direction, group, items)
    elif watch is None and stepsize.is_local and dispatch.choose(group) == "loop":
        loop.step(direction, group, items, stepsize=stepsize)
    else:
        _in_halves(direction, stepsize, group, items, evidence or Evidence(), watch)


def _in_halves(
    direction: Direction,
    stepsize: StepSize,
    group: Group,
    items: list[Item],
    evidence: Evidence,
    watch: Watch | None,
) -> None:
    wide = [widened(item, direction.buffers(group)) for item in items]
    ds = [_place_for_d(item.p, group) for item in wide]
    # The first half has no rule; the additive one is named because it can always be recorded.
    halves = [
        Item(d, item.g, item.state, RULES["additive"]) for d, item in zip(ds, wide, strict=True)
    ]
    dispatch.step(direction, group, halves, proposed)
    layers = [
        Layer(item.p, d, item.g, known.state)
        for d, item, known in zip(ds, wide, items, strict=True)
    ]
    moves = [Item(item.p, d, {}, item.rule) for d, item in zip(ds, wide, strict=True)]
    told = None if watch is None else lambda i, *seen: watch(items[i].p, *seen)
    size_and_move(stepsize, layers, moves, group, evidence, told)
    for item, result in zip(items, wide, strict=True):
        _round(item, result, direction.buffers(group))


def size_and_move(
    stepsize: StepSize,
    layers: Sequence[Layer],
    items: list[Item],
    group: Group,
    evidence: Evidence,
    watch: Callable[[int, Tensor, Rule, Group], None] | None = None,
) -> None:
    """Ask for the step sizes and apply the rule: p ← θ − ξ(θ, s·d; η), or with s for η.

    Args:
        items: with p the weights θ, to be overwritten, and d in place of the gradient; d too is
            overwritten. In the order of ``layers``.
        watch: who is told, of each item by its index, of the d that its rule is given.
    """
    values = stepsize.values(layers, group, evidence)
    groups = [group] * len(items)
    if stepsize.role == "eta":
        known = {id(value): group | {"lr": value} for value in values}
        groups = [known[id(value)] for value in values]
    else:
        items = _scaled(items, values, group["differentiable"])
    for i, (item, h) in enumerate(zip(items, groups, strict=True)):
        if watch is not None:
            watch(i, item.g, item.rule, h)
    together: dict[int, tuple[Group, list[Item]]] = {}  # tensors with one η are stepped together
    for item, h in zip(items, groups, strict=True):
        together.setdefault(id(h), (h, []))[1].append(item)
    for h, some in together.values():
        dispatch.step(NONE, h, some, moved)


def _scaled(items: list[Item], values: Sequence[Tensor], differentiable: bool) -> list[Item]:
    ds = [item.g for item in items]
    if differentiable or any(type(d) not in PLAIN for d in ds):
        return [item._replace(g=value * item.g) for item, value in zip(items, values, strict=True)]
    torch._foreach_mul_(ds, list(values))  # type: ignore[attr-defined]
    return items


# The two halves as statements, in the form of `update`.


def proposed(
    direction: Direction,
    stepsize: StepSize,
    rule: Rule,
    p: Tensor,
    g: Tensor,
    state: State,
    h: Group,
) -> Tensor:
    """d, to be left where p is."""
    return propose(direction, p, g, state, h)


def moved(
    direction: Direction,
    stepsize: StepSize,
    rule: Rule,
    p: Tensor,
    g: Tensor,
    state: State,
    h: Group,
) -> Tensor:
    """The new weights; g is d."""
    return move(rule, p, g, h)


def _place_for_d(p: Tensor, group: Group) -> Tensor:
    """Memory for d. With L2 weight decay the proposal reads the weights, and takes them from where
    it will write: so they are there."""
    reads = not group.get("decoupled_weight_decay") and active(group["weight_decay"])
    place = torch.empty_like(p, requires_grad=False)
    return place.copy_(p) if reads else place


def widened(item: Item, buffers: tuple[str, ...]) -> Item:
    """The item to compute with: of short floats copies in float32, else itself."""
    p, g, state, rule = item
    if p.dtype not in SHORT:
        return item
    own: dict[str, Any] = dict(state)
    own |= {name: state[name].float() for name in buffers if state.get(name) is not None}
    return Item(p.detach().float(), g.float(), own, rule)


def _round(item: Item, result: Item, buffers: tuple[str, ...]) -> None:
    """Back into the tensors that a short float is kept in."""
    if result is item:
        return
    item.p.copy_(result.p)
    for name in buffers:
        known, new = item.state.get(name), result.state[name]
        if known is None:
            item.state[name] = new.to(item.p.dtype)
        else:
            known.copy_(new)
