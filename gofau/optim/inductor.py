"""The fused path on an accelerator: torch.compile over the operations of a recorded step.

The same operations on lists as in `foreach`, handed to torch.compile, which makes Triton kernels of
them that read and write every tensor once. Hyperparameters and all that depends on the step number
enter as 0-d tensors on the device, so no change of a value compiles anything again, and nothing
waits for the device. Shapes are baked in: the first step of a model compiles, for seconds.
"""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group
from gofau.optim.foreach import Bucket, advance, buckets_of, execute, scalars
from gofau.optim.program import Program, Value, tell_once
from gofau.optim.update import Item


def available() -> bool:
    """Whether torch.compile can make kernels for an accelerator: Triton is installed."""
    return importlib.util.find_spec("triton") is not None


def step(direction: Direction, group: Group, items: list[Item]) -> list[Item]:
    """Step the items on accelerators; return the others, and those that `foreach` leaves too."""
    there = [item for item in items if item.p.device.type != "cpu"]
    if there and not available():
        tell_once("no fused step on the accelerator, foreach takes it: Triton is not installed")
        return items
    buckets, left = buckets_of(direction, group, there)
    for bucket in buckets:
        run(bucket)
    return left + [item for item in items if item.p.device.type == "cpu"]


def run(bucket: Bucket) -> None:
    """One compiled call for a bucket of tensors, on whichever device they are."""
    known = scalars(bucket.program, _values(bucket))
    inside = [_each(known[value]) for value in _inside(bucket.program)]
    call = _compiled(bucket.program)
    if call is not None:
        try:
            call(bucket.lists(), inside)
            return
        except Exception as e:  # whatever a compiler and its toolchain raise, before anything ran
            _failed.add(bucket.program)
            tell_once(f"torch.compile failed, foreach takes the step: {type(e).__name__}: {e}")
    execute(bucket.program, bucket.lists(), dict(zip(_inside(bucket.program), inside, strict=True)))


def _values(bucket: Bucket) -> dict[str, Tensor]:
    """The program's 0-d inputs on the device, t as a vector always, so that its form does not
    change when a parameter misses a step."""
    device = bucket.items[0].p.device
    values = {n: x.to(device) for n, x in bucket.free.items() if isinstance(x, Tensor)}
    numbers = {n: float(x) for n, x in bucket.free.items() if n not in values}
    values |= dict(zip(numbers, _copied(tuple(numbers.values()), device), strict=True))
    counters = advance(bucket.items)
    t = torch.stack(counters) if counters else torch.zeros(len(bucket.items))
    return values | {"t": t.to(device, torch.float64, non_blocking=True)}


@functools.lru_cache(maxsize=256)
def _copied(numbers: tuple[float, ...], device: torch.device) -> tuple[Tensor, ...]:
    """Numbers as 0-d tensors on the device: one copy that nobody waits for, and none while they
    stay as they are, so that a CUDA graph can capture a step after a warm-up."""
    together = torch.tensor(numbers, dtype=torch.float64)
    return together.to(device, non_blocking=True).unbind()


def _each(x: Tensor) -> Tensor | list[Tensor]:
    return list(x.unbind()) if x.dim() else x


@functools.cache
def _inside(program: Program) -> list[Value]:
    """The 0-d values that the operations on tensors use."""
    body = [op for op in program.operations if not program.is_scalar(op.out)]
    used = {a for op in body for a in op.args if isinstance(a, Value)}
    return sorted(value for value in used if program.is_scalar(value))


_failed: set[Program] = set()


@functools.cache
def _compiled_step(program: Program) -> Callable[[dict[str, list[Tensor]], list[Any]], None]:
    values = _inside(program)

    def call(lists: dict[str, list[Tensor]], inside: list[Any]) -> None:
        execute(program, lists, dict(zip(values, inside, strict=True)))

    return torch.compile(call, dynamic=False)


def _compiled(program: Program) -> Callable[[dict[str, list[Tensor]], list[Any]], None] | None:
    return None if program in _failed else _compiled_step(program)
