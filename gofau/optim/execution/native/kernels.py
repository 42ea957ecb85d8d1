"""The fused path on the CPU: one compiled loop per group, over all of its tensors at once.

A recorded step (`trace`) is written as C (`source`) and compiled (`compiler`) once per combination
of base, rule, flags and dtype; shapes and the values of hyperparameters are arguments. Every tensor
is read and written once, and nothing is allocated.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from gofau.optim.directions import Direction, Group
from gofau.optim.execution.clipping import Bound
from gofau.optim.execution.guards import compute_dtype, key_of, matches_the_loop
from gofau.optim.execution.native import compiler
from gofau.optim.execution.native.source import source
from gofau.optim.execution.program import Unsupported, split, tell_once
from gofau.optim.execution.trace import record
from gofau.optim.rules import Rule
from gofau.optim.update import PLAIN, Item, Statement, update

ELEMENTS_PER_THREAD = 1 << 16
"""Elements per thread: with fewer, starting another thread costs more than it saves."""

Row = tuple[Item, list[Tensor]]


def step(
    direction: Direction,
    group: Group,
    items: list[Item],
    statement: Statement = update,
    bound: Bound | None = None,
) -> list[Item]:
    """Step the items that a kernel accepts, and clip them to ±bound; return the others: items on
    other devices, items whose memory is not dense, first steps that create a buffer, and rules that
    have no form in C."""
    buffers = direction.buffers(group)
    left: list[Item] = []
    buckets: dict[tuple[str, torch.dtype], list[Row]] = {}
    for item in items:
        tensors = _operands(item, buffers)
        if tensors is None:
            left.append(item)
        else:
            buckets.setdefault((item.rule.name, item.p.dtype), []).append((item, tensors))
    for (_, dtype), rows in buckets.items():
        kernel = kernel_for(direction, group, rows[0][0], dtype, statement)
        if kernel is None:
            left += [item for item, _ in rows]
        else:
            kernel(rows, split(rows[0][0].rule, group)[1], bound)
    return left


class Kernel:
    """A compiled step.

    Args:
        direction, rule, dtype: the direction, the rule and the tensors' dtype of the step.
        baked, free: the group's hyperparameters, as `execution.program.split` returns them.
        statement: the definition of the step of one tensor.

    Raises:
        Unsupported: the step has no form in C.
        CannotCompile: there is no compiler, or it failed.
    """

    def __init__(
        self,
        direction: Direction,
        rule: Rule,
        dtype: torch.dtype,
        baked: dict[str, Any],
        free: dict[str, Any],
        statement: Statement = update,
    ) -> None:
        wide = dtype == torch.float64
        compute = compute_dtype(dtype)
        program = record(direction, rule, baked, free, compute, not wide, statement)
        self.written = [i for i, name in enumerate(program.tensors) if name in program.stores]
        self.library = compiler.load(source(program, dtype))
        self.function = self.library.gofau_step
        self.function.restype = None

    def __call__(self, rows: list[Row], free: dict[str, Any], bound: Bound | None = None) -> None:
        """Step the tensors of the rows, and clip the weights to ±bound; ``free`` are the present
        values of the hyperparameters."""
        sizes = [tensors[0].numel() for _, tensors in rows]
        streams = [x.data_ptr() for _, tensors in rows for x in tensors]
        steps = [_address(item.state.get("step")) for item, _ in rows]
        bounds = None if bound is None else [bound(item) for item, _ in rows]
        threads = max(1, min(torch.get_num_threads(), sum(sizes) // ELEMENTS_PER_THREAD))
        self.function(
            ctypes.c_int64(len(sizes)),
            (ctypes.c_int64 * len(sizes))(*sizes),
            (ctypes.c_void_p * len(streams))(*streams),
            (ctypes.c_void_p * len(steps))(*steps),
            (ctypes.c_double * len(free))(*map(float, free.values())),
            bounds and (ctypes.c_double * len(bounds))(*bounds),
            ctypes.c_int32(threads),
        )
        # Autograd must notice the change, as it does for torch's own in-place operations.
        increment_version([tensors[i] for _, tensors in rows for i in self.written])


_kernels: dict[Any, Kernel | None] = {}


def kernel_for(
    direction: Direction, group: Group, item: Item, dtype: torch.dtype, statement: Statement
) -> Kernel | None:
    """The kernel for ``item`` and similar ones, made at the first call. If it cannot be made: None,
    and one message, which is a warning if the user asked for fused steps, else a line in the
    log."""
    rule = item.rule
    baked, free = split(rule, group)
    try:
        key = (*key_of(direction, rule, compute_dtype(dtype), baked, free, statement), dtype)
        if key in _kernels:
            return _kernels[key]
    except Unsupported as e:
        return _without(direction, group, item, e)
    try:
        kernel = Kernel(direction, rule, dtype, baked, free, statement)
    except (Unsupported, compiler.CannotCompile) as e:
        _kernels[key] = _without(direction, group, item, e)
        return None

    def fast(sample: Item) -> None:
        tensors = [sample.p, sample.g, *(sample.state[n] for n in direction.buffers(group))]
        kernel([(sample, tensors)], free)

    sound = rule.is_built_in or matches_the_loop(direction, group, item, statement, fast)
    _kernels[key] = kernel if sound else None
    return _kernels[key]


def _without(direction: Direction, group: Group, item: Item, why: Exception) -> None:
    base = type(direction).__name__.removesuffix("Direction")
    name = f"{base} with {item.rule.title} in {item.p.dtype}"
    message = f"no fused step for {name}, another path takes it: {why}"
    tell_once(message, loud=group.get("fused") is True)


def _operands(item: Item, buffers: tuple[str, ...]) -> list[Tensor] | None:
    """Parameter, gradient and buffers, if a loop over their memory pairs the right elements; else
    None. Tensors with another memory layout than the parameter's are copied into that layout."""
    p, g, state, _ = item
    if type(p) not in PLAIN or not p.is_cpu or p.layout != torch.strided or p.is_inference():
        return None
    contiguous, dtype, size = p.is_contiguous(), p.dtype, p.numel()
    if not contiguous and not _dense(p):
        return None
    tensors: list[Any] = [p, g, *[state.get(name) for name in buffers]]
    for i, x in enumerate(tensors):
        if type(x) not in PLAIN or x.dtype != dtype or x.numel() != size or not x.is_cpu:
            return None
        alike = x.is_contiguous() if contiguous else x.stride() == p.stride()
        # The copy of a gradient is for this step; the copy of a buffer replaces it in the state.
        if not alike or x.is_neg():
            tensors[i] = torch.empty_like(p, requires_grad=False).copy_(x.view_as(p))
            if i > 1:
                state[buffers[i - 2]] = tensors[i]
    count = state.get("step")
    counted = count is None or (count.dtype == torch.float32 and count.is_cpu)
    return tensors if counted else None


def _dense(p: Tensor) -> bool:
    """Whether p is dense in a channels-last format: p.numel() neighbouring elements in memory,
    without holes or overlaps."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return p.dim() in formats and p.is_contiguous(memory_format=formats[p.dim()])


def _address(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()
