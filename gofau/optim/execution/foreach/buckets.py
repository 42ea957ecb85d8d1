"""The foreach path: every operation of a step on all tensors at once.

A recorded step becomes a `Plan` of few operations, and a `schedule` that needs little memory; both
are made once. Then each operation is one call for all tensors of a bucket, and on an accelerator
about one launch. Temporaries take one to three times the parameters' memory (the tests count them),
but at most `PIECE` elements each: larger buckets are stepped in pieces.
"""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group
from gofau.optim.execution.foreach import lists
from gofau.optim.execution.foreach.coefficients import evaluate
from gofau.optim.execution.foreach.plan import Plan
from gofau.optim.execution.foreach.schedule import Step, schedule
from gofau.optim.execution.guards import compute_dtype, key_of, matches_the_loop
from gofau.optim.execution.program import BAKED, Operation, Program, Unsupported, split, tell_once
from gofau.optim.execution.trace import record
from gofau.optim.update import PLAIN, SHORT, Item, Statement, exact, update

PIECE = 1 << 26
"""Most elements that are stepped together; a quarter of it for short floats, which are widened."""


class Bucket(NamedTuple):
    """Items with the same group, rule, device and dtype, and the recorded step of all of them.

    ``free`` are the values of the hyperparameters.
    """

    items: list[Item]
    program: Program
    buffers: tuple[str, ...]
    free: dict[str, Any]

    def lists(self) -> dict[str, list[Tensor]]:
        """For each tensor of the program, by name, the list of the items' tensors."""
        lists = {name: [x.state[name] for x in self.items] for name in self.buffers}
        return lists | {"p": [x.p for x in self.items], "g": [x.g for x in self.items]}


def step(
    direction: Direction, group: Group, items: list[Item], statement: Statement = update
) -> list[Item]:
    """Step the items that fit into buckets; return the others (see `buckets_of`)."""
    buckets, left = buckets_of(direction, group, items, statement)
    for bucket in buckets:
        run(bucket)
    return left


def run(bucket: Bucket) -> None:
    """One step of a bucket."""
    for piece in _pieces(bucket):
        execute(piece, values(piece))


def execute(bucket: Bucket, values: dict[str, Any]) -> None:
    """One step with the hyperparameters and the step number in ``values``."""
    like = bucket.items[0].p
    numbers = (n for n, x in bucket.free.items() if n in BAKED and not isinstance(x, Tensor))
    operations, steps = planned(bucket.program, like.dtype in SHORT, frozenset(numbers))
    inputs = {value: values[name] for name, value in bucket.program.scalars.items()}
    found = evaluate(operations, inputs)
    known = {value: _plain(x, like) for value, x in found.items()}
    lists.carry_out(steps, bucket.lists(), known)


@functools.cache
def planned(
    program: Program, short: bool, numbers: frozenset[str]
) -> tuple[list[Operation], list[Step]]:
    """The operations to compute once per step, and the steps to execute on lists."""
    plan = Plan(program, short, numbers)
    return plan.coefficients.operations, schedule(plan)


def _pieces(bucket: Bucket) -> Iterator[Bucket]:
    """Split a bucket into parts of at most `PIECE` elements, or of one larger tensor."""
    most = PIECE // 4 if bucket.items[0].p.dtype in SHORT else PIECE
    piece: list[Item] = []
    size = 0
    for item in bucket.items:
        size += item.p.numel()
        if piece and size > most:
            yield bucket._replace(items=piece)
            piece, size = [], item.p.numel()
        piece.append(item)
    yield bucket._replace(items=piece)


def buckets_of(
    direction: Direction, group: Group, items: list[Item], statement: Statement = update
) -> tuple[list[Bucket], list[Item]]:
    """Sort items into buckets. Also returns the items that fit into none: tensor subclasses, a
    first step that creates a buffer, a rule that cannot be recorded."""
    buffers = direction.buffers(group)
    left: list[Item] = []
    sorted_out: dict[tuple[str, torch.device, torch.dtype], list[Item]] = {}
    for item in items:
        if type(item.p) not in PLAIN or any(item.state.get(name) is None for name in buffers):
            left.append(item)
        else:
            key = (item.rule.name, item.p.device, item.p.dtype)
            sorted_out.setdefault(key, []).append(item)
    buckets = []
    for some in sorted_out.values():
        program = program_for(direction, group, some[0], statement)
        if program is None:
            left += some
        else:
            buckets.append(Bucket(some, program, buffers, split(some[0].rule, group)[1]))
    return buckets, left


_programs: dict[Any, Program | None] = {}


def program_for(
    direction: Direction, group: Group, item: Item, statement: Statement
) -> Program | None:
    """The recorded step of ``item`` and similar ones. If it cannot be recorded: None, and one
    message, which is a warning if the user asked for this path, else a line in the log."""
    rule, dtype = item.rule, compute_dtype(item.p.dtype)
    baked, free = split(rule, group)
    try:
        key = key_of(direction, rule, dtype, baked, free, statement)
        if key not in _programs:
            _programs[key] = None  # a step that fails is not recorded again
            program = record(direction, rule, baked, free, dtype, statement=statement)

            def fast(sample: Item) -> None:
                run(Bucket([sample], program, direction.buffers(group), free))

            if rule.is_built_in or matches_the_loop(direction, group, item, statement, fast):
                _programs[key] = program
        return _programs[key]
    except Unsupported as e:
        loud = group.get("foreach") is True
        tell_once(f"{rule.title} is stepped tensor by tensor: {e}", loud)
        return None


def advance(items: list[Item]) -> list[Tensor]:
    """Count one step per item; returns the counters, none if the direction has none."""
    counters = [item.state["step"] for item in items if "step" in item.state]
    if counters:
        lists.count_up(counters)
    return counters


def values(bucket: Bucket) -> dict[str, Any]:
    """The program's 0-d inputs: numbers where that needs no waiting for a device, else tensors. t
    is one number if it is the same for all items, else a vector."""
    free = {name: _number(x) for name, x in bucket.free.items()}
    counters = advance(bucket.items)
    if not counters:
        return free | {"t": 0.0}
    if all(count.is_cpu for count in counters):
        numbers = [count.item() for count in counters]
        if min(numbers) == max(numbers):
            return free | {"t": numbers[0]}
    t = exact(torch.stack(counters))
    devices = [x.device for x in free.values() if isinstance(x, Tensor)]
    return free | {"t": t.to(devices[0]) if devices else t}


def _number(x: Any) -> Any:
    return x if isinstance(x, Tensor) and not x.is_cpu else float(x)


def _plain(x: Any, like: Tensor) -> Any:
    """A 0-d value in the form that operations on lists take: a number or a list of numbers; on a
    device, a tensor or a list of tensors."""
    if not isinstance(x, Tensor):
        return x
    if x.is_cpu:
        return x.tolist()
    x = x.to(like.device, x.dtype if x.dtype == torch.bool else compute_dtype(like.dtype))
    return list(x.unbind()) if x.dim() else x
