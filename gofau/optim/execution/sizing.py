"""A step with a step size that reads whole tensors: propose d, size it, move the weights.

The plain loop runs `update` as it is. The fast paths can record only elementwise operations, and a
norm is not one. So they run the step in two halves, each recorded separately: first d of every
tensor; then, with the step sizes computed from all of them, the rule. Between the halves d has its
own memory, as large as the parameters. Short floats are widened to float32 for the whole step and
rounded once, at its end, as on every path.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gofau.optim.directions import NONE, Direction, Group, State, active
from gofau.optim.execution import dispatch, loop
from gofau.optim.execution.clipping import bound_of
from gofau.optim.projection import Projection
from gofau.optim.rules import RULES, Rule
from gofau.optim.stepsize import BASE, Evidence, Layer, StepSize, get_stepsize
from gofau.optim.update import PLAIN, SHORT, Item, move, propose

Watch = Callable[[Tensor, Tensor, Rule, Group], None]
"""Called per parameter with the parameter, its d after the step size, its rule and its
hyperparameters."""


def step(
    direction: Direction,
    group: Group,
    items: list[Item],
    evidence: Evidence | None = None,
    watch: Watch | None = None,
    projection: Projection | None = None,
) -> list[Item]:
    """Step every item with the step size, the rule and the path of its group.

    Args:
        evidence: the inputs that the step size needs besides the layers.
        watch: called with every d, but only for step sizes other than the base's.
        projection: what the optimizer applies next; a compiled step may do so on the way.

    Returns:
        The items that are still to be projected.
    """
    stepsize = get_stepsize(group["stepsize"])
    if stepsize is BASE:
        return dispatch.step(direction, group, items, bound=bound_of(projection, group))
    if watch is None and stepsize.is_local and dispatch.choose(group) == "loop":
        loop.step(direction, group, items, stepsize=stepsize)
    else:
        _in_halves(direction, stepsize, group, items, evidence or Evidence(), watch)
    return items


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
    # The first half applies no rule, but an Item needs one: the additive can always be recorded.
    halves = [
        Item(d, item.g, item.state, RULES["additive"]) for d, item in zip(ds, wide, strict=True)
    ]
    dispatch.step(direction, group, halves, proposed)
    layers = [
        Layer(item.p, d, item.g, known.state)
        for d, item, known in zip(ds, wide, items, strict=True)
    ]
    moves = [Item(item.p, d, {}, item.rule) for d, item in zip(ds, wide, strict=True)]
    # The user's parameter is reported, not the float32 copy that is stepped.
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
    """Compute the step sizes and apply the rule: p ← θ − ξ(θ, s·d; η), or with s in place of η.

    Args:
        items: p holds the weights θ, and d takes the place of the gradient; both are overwritten.
            In the order of ``layers``.
        watch: called per item with its index and the d that its rule is given.
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
    together: dict[int, tuple[Group, list[Item]]] = {}  # items with the same η are stepped at once
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
    """d, which is written in place of p."""
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
    """Memory for d. With L2 weight decay the first half reads the weights from the tensor that it
    overwrites, so they are copied there."""
    reads = not group.get("decoupled_weight_decay") and active(group["weight_decay"])
    place = torch.empty_like(p, requires_grad=False)
    return place.copy_(p) if reads else place


def widened(item: Item, buffers: tuple[str, ...]) -> Item:
    """The item to compute with: float32 copies for short floats, else the item itself."""
    p, g, state, rule = item
    if p.dtype not in SHORT:
        return item
    own: dict[str, Any] = dict(state)
    own |= {name: state[name].float() for name in buffers if state.get(name) is not None}
    return Item(p.detach().float(), g.float(), own, rule)


def _round(item: Item, result: Item, buffers: tuple[str, ...]) -> None:
    """Copy a float32 result back into the short floats of ``item``; each is rounded once."""
    if result is item:
        return
    item.p.copy_(result.p)
    for name in buffers:
        known, new = item.state.get(name), result.state[name]
        if known is None:
            item.state[name] = new.to(item.p.dtype)
        else:
            known.copy_(new)
