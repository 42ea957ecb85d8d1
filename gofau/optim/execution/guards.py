"""Decide when a recorded step may replace the plain one: its cache key, and a check of its first
step.

The tests compare gofau's own rules with the plain loop. A registered rule may do anything; so the
key contains all that its record could depend on, and its first step is compared with the loop's.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group
from gofau.optim.execution.captured import Unknowable, captured
from gofau.optim.execution.loop import carry_out
from gofau.optim.execution.program import Unsupported, tell_once
from gofau.optim.rules import Rule
from gofau.optim.stepsize import BASE
from gofau.optim.update import SHORT, Item, Statement, step_number

Key = tuple[Any, ...]
SAMPLE = 1024
"""Number of elements of the first step that are compared with the loop's."""
VERSIONS = 8
"""A rule whose outer values change more often than this is stepped by the loop: recording, and
perhaps compiling, a new step each time would cost more than it saves."""

_seen: dict[Any, set[Key]] = {}


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which a step of parameters of ``dtype`` is computed, on every path."""
    return torch.float32 if dtype in SHORT else dtype


def key_of(
    direction: Direction,
    rule: Rule,
    dtype: torch.dtype,
    baked: dict[str, Any],
    free: dict[str, Any],
    statement: Statement,
) -> Key:
    """The cache key of a recorded step: everything that it depends on. Arguments as for
    `trace.record`.

    Raises:
        Unsupported: the rule reads what may change unnoticed, or its values changed too often.
    """
    outer: Key = ()
    if not rule.is_built_in:
        try:
            outer = captured(rule.xi)
        except Unknowable as e:
            raise Unsupported(str(e)) from e
        versions = _seen.setdefault(rule.xi, set())
        versions.add(outer)
        if len(versions) > VERSIONS:
            raise Unsupported(f"what it reads from outside has changed {VERSIONS} times")
    return (statement, type(direction), rule.xi, outer, dtype, *map(repr, baked.items()), *free)


def matches_the_loop(
    direction: Direction,
    group: Group,
    item: Item,
    statement: Statement,
    fast: Callable[[Item], None],
) -> bool:
    """Whether ``fast`` changes the first elements of an item as the loop does; warns if not."""
    # Both on copies: the real step is still to come.
    one, other = (_sample(item, direction.buffers(group)) for _ in range(2))
    t = step_number(one.state, group)
    h = group | direction.coefficients(t, group)
    carry_out(direction, BASE, one.rule, one.p, one.g, one.state, h, statement)
    fast(other)
    short = item.p.dtype in SHORT
    eps = torch.finfo(item.p.dtype).eps
    tolerance = {"rtol": (2 if short else 64) * eps, "atol": 64 * eps * _largest(item.p)}
    pairs = [(one.p, other.p), *((x, other.state[name]) for name, x in one.state.items())]
    same = all(torch.allclose(a, b, **tolerance, equal_nan=True) for a, b in pairs)
    if not same:
        tell_once(
            f"{item.rule.title}: its recorded step is not the one it takes in the plain loop,"
            " which steps it from now on; a rule may depend on nothing but its arguments",
            loud=True,
        )
    return same


def _sample(item: Item, buffers: tuple[str, ...]) -> Item:
    def few(x: Tensor) -> Tensor:
        return x.detach().reshape(-1)[:SAMPLE].clone()

    state = {name: few(item.state[name]) for name in buffers}
    if "step" in item.state:
        state["step"] = item.state["step"].clone()
    return Item(few(item.p), few(item.g), state, item.rule)


def _largest(x: Tensor) -> float:
    few = x.detach().reshape(-1)[:SAMPLE].float().abs()
    few = few[few.isfinite()]
    return few.max().item() if few.numel() else 0.0
