"""The fused path on an accelerator: torch.compile over the operations of a recorded step.

The record is executed on lists of tensors, which torch.compile turns into Triton kernels that read
and write every tensor once. Hyperparameters and all that depends on the step number are 0-d tensors
on the device, so a change of a value compiles nothing again, and nothing waits for the device.
Shapes are constants of a kernel: the first step of a model compiles, which takes seconds.

Two properties of dynamo would silently break this, so the code avoids them. While it traces, dynamo
treats an operation on a list and one 0-d tensor as one on a list and a number, and makes the value
a constant: so 0-d tensors are expanded to lists before they meet a list. And dynamo compiles the
same code object only a few times and then runs it in Python: so every pair of a program and a set
of shapes gets its own code object.
"""

import functools
import importlib.util
import itertools
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group
from gofau.optim.execution.foreach import buckets
from gofau.optim.execution.foreach.buckets import Bucket, buckets_of
from gofau.optim.execution.foreach.coefficients import evaluate
from gofau.optim.execution.foreach.lists import accepted
from gofau.optim.execution.program import Operation, Program, Value, tell_once
from gofau.optim.update import SHORT, Item, Statement, update

Lists = dict[str, list[Tensor]]
Call = Callable[[Lists, list[Tensor]], None]
Shapes = tuple[Any, ...]


def available() -> bool:
    """Whether torch.compile can make kernels for an accelerator: Triton is installed."""
    return importlib.util.find_spec("triton") is not None


def step(
    direction: Direction, group: Group, items: list[Item], statement: Statement = update
) -> list[Item]:
    """Step the items on accelerators; return the others, and those that `buckets_of` leaves."""
    on_device = [item for item in items if item.p.device.type != "cpu"]
    if on_device and not available():
        message = "no fused step on the accelerator, foreach takes it: Triton is not installed"
        tell_once(message, loud=True)
        return items
    buckets, left = buckets_of(direction, group, on_device, statement)
    for bucket in buckets:
        run(bucket)
    return left + [item for item in items if item.p.device.type == "cpu"]


def run(bucket: Bucket) -> None:
    """Step a bucket of tensors, on any device, by one compiled call."""
    if bucket.program in _failed:
        buckets.run(bucket)
        return
    lists, values = bucket.lists(), _values(bucket)
    inputs = {value: values[name] for name, value in bucket.program.scalars.items()}
    known = evaluate(_scalar_operations(bucket.program), inputs)
    try:
        _compiled(bucket.program, _shapes(lists))(
            lists, [known[v] for v in _scalars_used(bucket.program)]
        )
    except Exception as e:  # whatever a compiler and its toolchain raise, before anything ran
        _failed.add(bucket.program)
        message = f"torch.compile failed, foreach takes the step: {type(e).__name__}: {e}"
        tell_once(message, loud=True)
        buckets.execute(bucket, values)


_failed: set[Program] = set()


def _values(bucket: Bucket) -> dict[str, Tensor]:
    """The program's 0-d inputs on the device. t is always a vector, so that its shape stays the
    same when a parameter misses a step."""
    device = bucket.items[0].p.device
    values = {n: x.to(device) for n, x in bucket.free.items() if isinstance(x, Tensor)}
    numbers = {n: float(x) for n, x in bucket.free.items() if n not in values}
    values |= dict(zip(numbers, _copied(tuple(numbers.values()), device), strict=True))
    counters = buckets.advance(bucket.items)
    t = torch.stack(counters) if counters else torch.zeros(len(bucket.items))
    return values | {"t": t.to(device, torch.float64, non_blocking=True)}


@functools.lru_cache(maxsize=256)
def _copied(numbers: tuple[float, ...], device: torch.device) -> tuple[Tensor, ...]:
    """Numbers as 0-d tensors on the device: one copy without waiting, and no copy while the numbers
    stay the same, so that a CUDA graph can capture a step after a warm-up."""
    together = torch.tensor(numbers, dtype=torch.float64)
    return together.to(device, non_blocking=True).unbind()


@functools.cache
def _scalar_operations(program: Program) -> list[Operation]:
    return [op for op in program.operations if program.is_scalar(op.out)]


@functools.cache
def _scalars_used(program: Program) -> list[Value]:
    """The 0-d values that operations on tensors use."""
    body = [op for op in program.operations if not program.is_scalar(op.out)]
    used = {a for op in body for a in op.args if isinstance(a, Value)}
    return sorted(value for value in used if program.is_scalar(value))


def _shapes(lists: Lists) -> Shapes:
    """All properties of the lists for which a step is compiled."""
    return tuple(
        (name, *((x.shape, x.stride(), x.dtype, x.device) for x in some))
        for name, some in lists.items()
    )


_numbers = itertools.count()


@functools.cache
def _compiled(program: Program, shapes: Shapes) -> Call:
    used = _scalars_used(program)

    def call(lists: Lists, scalars: list[Tensor]) -> None:
        _carry_out(program, lists, dict(zip(used, scalars, strict=True)))

    code: CodeType = call.__code__.replace(co_name=f"gofau_step_{next(_numbers)}")
    own = FunctionType(code, globals(), code.co_name, closure=call.__closure__)
    return torch.compile(own, dynamic=False)


def _carry_out(program: Program, lists: Lists, scalars: dict[Value, Tensor]) -> None:
    """Execute the record's operations one by one on lists; torch.compile joins them into kernels.
    Short floats are computed in float32."""
    count = len(lists["p"])
    dtype = torch.float32 if lists["p"][0].dtype in SHORT else lists["p"][0].dtype
    known: dict[Value, list[Tensor]] = {}
    for value, x in scalars.items():
        x = x if x.dtype == torch.bool else x.to(dtype)
        known[value] = list(x.unbind()) if x.dim() else [x] * count  # a list, for dynamo
    for name, value in program.tensors.items():
        known[value] = [x.to(dtype) for x in lists[name]]
    for op in program.operations:
        if not program.is_scalar(op.out):
            known[op.out] = _apply(op, [known[a] if isinstance(a, Value) else a for a in op.args])
    for name, value in program.stores.items():
        for x, new in zip(lists[name], known[value], strict=True):
            x.copy_(new)


_NAMES = "neg abs sqrt reciprocal exp expm1 tanh sigmoid sign mul add sub div maximum minimum"
_LISTS = {name: getattr(torch, f"_foreach_{name}") for name in _NAMES.split()}


def _apply(op: Operation, args: list[Any]) -> list[Tensor]:
    function = _LISTS.get(op.name.split(".")[0])
    if function is not None and not op.options and all(isinstance(a, list) for a in args):
        return list(function(*args))
    count = next(len(a) for a in args if isinstance(a, list))
    rows = [[a[i] if isinstance(a, list) else a for a in args] for i in range(count)]
    return [op.function(*map(accepted, row, op.tensors), **op.options) for row in rows]
