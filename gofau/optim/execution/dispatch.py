"""Choose the execution path of a group: loop, foreach or fused. All paths compute `update`.

``foreach=True``
    operations on all tensors at once (`foreach`): fewer launches; temporaries of at most twice
    the parameters' size (with the hypentropy rule three times).
``fused=True``
    one compiled loop over all tensors, made when it is first needed: by the system's C compiler on
    the CPU (`native`), by torch.compile elsewhere (`inductor`). Parameters that it cannot step
    (tensors that are not dense, tensor subclasses) take another path. If it can step none at all
    (no compiler, a rule that cannot be recorded or has no form in C), one warning says so.
    ``GOFAU_NATIVE=0`` turns the C compiler off.
``foreach=False, fused=False``
    the plain loop, the reference.

If neither is given, the choice depends only on the parameters, so that a resumed run takes the same
path: `FUSED_FROM` elements or more, all on the CPU, are fused if there is a compiler; parameters on
an accelerator use foreach, as in torch, because compiling takes seconds there; the rest uses the
loop, which on the CPU is faster than foreach. Under torch.compile, the loop is compiled.
"""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group
from gofau.optim.execution import inductor, loop
from gofau.optim.execution.clipping import Bound
from gofau.optim.execution.foreach import buckets
from gofau.optim.execution.native import compiler, kernels
from gofau.optim.update import Item, Statement, update

Path = Literal["loop", "foreach", "fused"]

FUSED_FROM = 1 << 17
"""Elements from which a step is compiled without being asked for. Compiling takes a fraction of a
second, once per machine."""


def choose(group: Group) -> Path:
    """The path of a group: from its flags if they are given, else from its parameters."""
    if group["differentiable"] or torch.compiler.is_compiling():
        return "loop"
    foreach, fused = group["foreach"], group["fused"]
    if fused or foreach:
        return "fused" if fused else "foreach"
    if foreach is not None or fused is not None:
        return "loop"
    params = group["params"]
    if any(p.device.type != "cpu" for p in params):
        return "foreach"
    return "fused" if pays(params) else "loop"


def pays(tensors: Iterable[Tensor]) -> bool:
    """Whether a step of these CPU tensors should be compiled although nobody asked for it."""
    return sum(p.numel() for p in tensors) >= FUSED_FROM and compiler.find() is not None


def step(
    direction: Direction,
    group: Group,
    items: list[Item],
    statement: Statement = update,
    bound: Bound | None = None,
) -> list[Item]:
    """Step every item by the group's path; items that it cannot step take a slower one.

    Args:
        statement: the step of one tensor: the whole step, or one half of it.
        bound: what the weights are clipped to, by a path that can do so on the way.

    Returns:
        The items that were not clipped: all of them without ``bound``.
    """
    path = choose(group)
    left = unclipped = items
    if path == "fused":
        left = kernels.step(direction, group, left, statement, bound)
        unclipped = items if bound is None else left
        left = inductor.step(direction, group, left, statement)
        path = "foreach" if any(item.p.device.type != "cpu" for item in left) else "loop"
    if path == "foreach":
        left = buckets.step(direction, group, left, statement)
    loop.step(direction, group, left, statement)
    return unclipped
