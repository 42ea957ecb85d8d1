"""Which way a group is stepped: loop, foreach or fused. All of them do what `update` says.

``foreach=True``
    operations on all tensors at once (`foreach`): fewer launches; temporaries of at most twice
    the parameters' size (with the hypentropy rule three times).
``fused=True``
    one compiled loop over all tensors, made when it is first needed: by the system's C compiler on
    the CPU (`native`), by torch.compile elsewhere (`inductor`). What that cannot take goes the
    other ways: parameters that are not dense, tensor subclasses. Where it can take none at all (no
    compiler, a rule that cannot be recorded or has no form in C), a warning says so, once.
    ``GOFAU_NATIVE=0`` turns the C compiler off.
``foreach=False, fused=False``
    the plain loop, the reference.

With neither given the choice depends on the parameters alone, so that a resumed run goes the way it
came: `FUSED_FROM` elements or more, all on the CPU, go fused if there is a compiler; parameters on
an accelerator foreach, as in torch, since compiling takes seconds there; the rest loops, which on
the CPU is faster than foreach. Under torch.compile the loop is what is compiled.
"""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group
from gofau.optim.execution import inductor, loop
from gofau.optim.execution.foreach import buckets
from gofau.optim.execution.native import compiler, kernels
from gofau.optim.update import Item, Statement, update

Path = Literal["loop", "foreach", "fused"]

FUSED_FROM = 1 << 17
"""Elements from which compiling (a fraction of a second, once on a machine) is worth it unasked."""


def choose(group: Group) -> Path:
    """The path of a group: what its flags say, else what suits its parameters."""
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
    """Whether it is worth compiling a step on the CPU for these, unasked."""
    return sum(p.numel() for p in tensors) >= FUSED_FROM and compiler.find() is not None


def step(
    direction: Direction, group: Group, items: list[Item], statement: Statement = update
) -> None:
    """Step every item, along the group's path as far as that can take it. ``statement`` is what is
    done to one tensor: the whole step, or a half of it."""
    path = choose(group)
    left = items
    if path == "fused":
        left = kernels.step(direction, group, left, statement)
        left = inductor.step(direction, group, left, statement)
        path = "foreach" if any(item.p.device.type != "cpu" for item in left) else "loop"
    if path == "foreach":
        left = buckets.step(direction, group, left, statement)
    loop.step(direction, group, left, statement)
