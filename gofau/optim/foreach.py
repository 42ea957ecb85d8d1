"""The foreach path: every operation of a recorded step on all tensors at once.

Where torch has the operation for lists, that is one call, and on an accelerator one launch; where
it has none, one call per tensor. Temporaries are as large as the parameters, several times over;
each is dropped after its last use.
"""

from collections import Counter
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group
from gofau.optim.program import Operation, Program, Unsupported, Value, split, tell_once
from gofau.optim.record import record
from gofau.optim.recorded import compute_dtype, is_the_loops, key_of
from gofau.optim.update import PLAIN, SHORT, Item, exact, update

_NAMES = "neg abs sqrt rsqrt reciprocal exp expm1 log log1p tanh sigmoid sign"
_NAMES += " mul add sub div maximum minimum add_ copy_"
_FOREACH = {name: getattr(torch, f"_foreach_{name}") for name in _NAMES.split()}
_COMMUTE = ("mul", "add", "maximum", "minimum")
_WITH_TENSOR = ("mul", "add", "div")  # that take one 0-d tensor for all


class Bucket(NamedTuple):
    """Items of one group, rule, device and dtype, with the step that all of them take.

    ``free`` are the values of the hyperparameters.
    """

    items: list[Item]
    program: Program
    buffers: tuple[str, ...]
    free: dict[str, Any]

    def lists(self) -> dict[str, list[Tensor]]:
        """For each of the program's tensors, one per item."""
        lists = {name: [x.state[name] for x in self.items] for name in self.buffers}
        return lists | {"p": [x.p for x in self.items], "g": [x.g for x in self.items]}


def step(direction: Direction, group: Group, items: list[Item]) -> list[Item]:
    """Step the items that lists can; return the others (see `buckets_of`)."""
    buckets, left = buckets_of(direction, group, items)
    for bucket in buckets:
        run(bucket)
    return left


def run(bucket: Bucket) -> None:
    """One step of a bucket."""
    known = scalars(bucket.program, _values(bucket))
    execute(bucket.program, bucket.lists(), {value: _plain(x) for value, x in known.items()})


def buckets_of(
    direction: Direction, group: Group, items: list[Item]
) -> tuple[list[Bucket], list[Item]]:
    """The items in buckets, and those left over: tensor subclasses, a first step with a buffer to
    make, a rule that cannot be recorded."""
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
        program = program_for(direction, group, some[0])
        if program is None:
            left += some
        else:
            buckets.append(Bucket(some, program, buffers, split(some[0].rule, group)[1]))
    return buckets, left


_programs: dict[Any, Program | None] = {}


def program_for(direction: Direction, group: Group, item: Item) -> Program | None:
    """The recorded step of ``item`` and those like it; None, and one line, where there can be none:
    a warning if the user has asked for this path, else in the log."""
    rule, dtype = item.rule, compute_dtype(item.p.dtype)
    baked, free = split(rule, group)
    try:
        key = key_of(direction, rule, dtype, baked, free, update)
        if key not in _programs:
            _programs[key] = None
            program = record(direction, rule, baked, free, dtype)

            def fast(sample: Item) -> None:
                run(Bucket([sample], program, direction.buffers(group), free))

            if rule.is_own or is_the_loops(direction, group, item, update, fast):
                _programs[key] = program
        return _programs[key]
    except Unsupported as e:
        loud = group.get("foreach") is True
        tell_once(f"rule '{rule.name}' is stepped tensor by tensor: {e}", loud)
        return None


def advance(items: list[Item]) -> list[Tensor]:
    """Count one step for each; the counters, none where the direction has none."""
    counters = [item.state["step"] for item in items if "step" in item.state]
    if counters:
        _FOREACH["add_"](counters, 1)
    return counters


def _values(bucket: Bucket) -> dict[str, Any]:
    """The program's 0-d inputs; t as one number for all if that can be had without waiting for a
    device, else as a vector."""
    counters = advance(bucket.items)
    if not counters:
        return bucket.free | {"t": 0.0}
    if all(count.device.type == "cpu" for count in counters):
        numbers = [count.item() for count in counters]
        if min(numbers) == max(numbers):
            return bucket.free | {"t": numbers[0]}
    return bucket.free | {"t": exact(torch.stack(counters))}


def scalars(program: Program, values: dict[str, Any]) -> dict[Value, Tensor]:
    """Every 0-d value of the program, as 0-d tensors, or vectors with an element per item."""
    known = {
        value: x if isinstance(x := values[name], Tensor) else torch.tensor(x, dtype=torch.float64)
        for name, value in program.scalars.items()
    }
    for op in program.operations:
        if program.is_scalar(op.out):
            args = [known[a] if isinstance(a, Value) else a for a in op.args]
            known[op.out] = op.function(*args, **op.options)
    return known


def _plain(x: Tensor) -> Any:
    """As operations on lists take it: a number, numbers, or, on a device, the same as tensors."""
    if x.device.type == "cpu":
        return x.tolist()
    return list(x.unbind()) if x.dim() else x


def execute(program: Program, lists: dict[str, list[Tensor]], scalars: dict[Value, Any]) -> None:
    """Run the program's operations on lists of tensors, and store what it leaves.

    Args:
        program: a recorded step.
        lists: for each of the program's tensors, one for each parameter; short floats are computed
            in float32.
        scalars: a number or a 0-d tensor for all, or a list of such, one for each.
    """
    wide = {
        name: [x.float() if x.dtype in SHORT else x for x in some] for name, some in lists.items()
    }
    known = scalars | {value: wide[name] for name, value in program.tensors.items()}
    body = [op for op in program.operations if not program.is_scalar(op.out)]
    uses = Counter(a for op in body for a in op.args if isinstance(a, Value))
    uses.update(program.stores.values())
    for op in body:
        known[op.out] = _apply(program, op, known, len(lists["p"]))
        for a in op.args:
            if isinstance(a, Value) and not program.is_scalar(a):
                uses[a] -= 1
                if not uses[a]:
                    del known[a]
    for name, value in program.stores.items():
        _FOREACH["copy_"](lists[name], known[value])


def _apply(program: Program, op: Operation, known: dict[Value, Any], count: int) -> list[Tensor]:
    args = [known[a] if isinstance(a, Value) else a for a in op.args]
    whole = [isinstance(a, Value) and not program.is_scalar(a) for a in op.args]
    base = op.name.split(".")[0]
    if base == "where" and isinstance(args[0], bool) and all(whole[1:]):
        return args[1] if args[0] else args[2]
    if base in _FOREACH and not op.options:
        if base in _COMMUTE and whole == [False, True]:
            args, whole = args[::-1], whole[::-1]
        tensors = isinstance(args[-1], Tensor) and base not in _WITH_TENSOR
        tensors |= not whole[-1] and isinstance(args[-1], list) and isinstance(args[-1][0], Tensor)
        if whole[0] and not tensors:
            return list(_FOREACH[base](*args))
    rows = [[a[i] if isinstance(a, list) else a for a in args] for i in range(count)]
    return [op.function(*map(_accepted, row, op.tensors), **op.options) for row in rows]


def _accepted(x: Any, only_tensor: bool) -> Any:
    """A number as a 0-d tensor where the operator takes nothing else; it does not promote."""
    number = isinstance(x, (bool, int, float))
    return torch.tensor(x) if number and only_tensor else x
