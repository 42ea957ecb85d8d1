"""Operations on lists of tensors: each is one torch call, on an accelerator about one launch.

A coefficient is one number for all tensors, or a list of numbers, one per tensor; on a device they
are tensors. torch's combined operations (x + c·y) take numbers only; with tensors as coefficients
they are done in several calls.
"""

from typing import Any

import torch
from torch import Tensor

from gofau.optim.execution.foreach.schedule import Place, Step
from gofau.optim.execution.program import Value

Tensors = list[Tensor]


def carry_out(steps: list[Step], lists: dict[str, Tensors], coefficients: dict[Value, Any]) -> None:
    """Execute a schedule on the lists of the step's tensors."""
    known = {Place(name): some for name, some in lists.items()}
    for step in steps:
        args = [
            known[a] if isinstance(a, Place) else coefficients.get(a, a)  # type: ignore[arg-type]
            for a in step.args
        ]
        if step.operation is not None:
            known[step.out] = _each(step, args)
        else:
            known[step.out] = _OWN.get(step.name, _by_name)(step, *args)
        for place in step.free:
            del known[place]


def count_up(counters: Tensors) -> None:
    """Add 1 to each counter."""
    if counters[0].is_cpu:  # with a number, torch would make a new tensor per counter
        _call("add", True, counters, torch.tensor(1.0), alpha=1.0)
    else:
        _call("add", True, counters, 1)


def _call(name: str, in_place: bool, x: Tensors, *rest: Any, **options: Any) -> Tensors:
    if in_place:
        getattr(torch, f"_foreach_{name}_")(x, *rest, **options)
        return x
    return list(getattr(torch, f"_foreach_{name}")(x, *rest, **options))


def _by_name(step: Step, x: Tensors, *rest: Any) -> Tensors:
    return _call(step.name, step.in_place, x, *rest)


def _scale(step: Step, x: Tensors, c: Any) -> Tensors:
    return _call("mul", step.in_place, x, c)


def _shift(step: Step, x: Tensors, c: Any) -> Tensors:
    return _call("add", step.in_place, x, c)


def _axpy(step: Step, x: Tensors, y: Tensors, c: Any) -> Tensors:
    if isinstance(c, (int, float)):
        return _call("add", step.in_place, x, y, alpha=c)
    return _call("add", step.in_place, x, _call("mul", False, y, c))


def _with_pair(step: Step, x: Tensors, y: Tensors, z: Tensors, c: Any) -> Tensors:
    if _numeric(c):
        return _call(step.name, step.in_place, x, y, z, c)
    pair = _call("mul" if step.name == "addcmul" else "div", False, y, z)
    return _call("add", step.in_place, x, _call("mul", True, pair, c))


def _lerp(step: Step, x: Tensors, y: Tensors, c: Any) -> Tensors:
    if _numeric(c):
        return _call("lerp", step.in_place, x, y, c)
    return _call("add", step.in_place, x, _call("mul", True, _call("sub", False, y, x), c))


def _widen(step: Step, x: Tensors) -> Tensors:
    wide = [torch.empty_like(one, dtype=torch.float32) for one in x]
    return _call("copy", True, wide, x)


def _store(step: Step, x: Tensors, y: Tensors) -> Tensors:
    return _call("copy", True, x, y)


_OWN = {
    "scale": _scale,
    "shift": _shift,
    "axpy": _axpy,
    "addcmul": _with_pair,
    "addcdiv": _with_pair,
    "lerp": _lerp,
    "widen": _widen,
    "store": _store,
}


def _numeric(c: Any) -> bool:
    return isinstance(c[0] if isinstance(c, list) else c, (int, float))


def _each(step: Step, args: list[Any]) -> Tensors:
    """Apply an operation that torch does not have for lists to each tensor by itself."""
    op = step.operation
    assert op is not None
    count = max(len(a) for a in args if isinstance(a, list))
    rows = [[a[i] if isinstance(a, list) else a for a in args] for i in range(count)]
    return [op.function(*map(accepted, row, op.tensors), **op.options) for row in rows]


def accepted(x: Any, only_tensor: bool) -> Any:
    """x; as a 0-d tensor if it is a number and the operator takes only tensors there. A 0-d tensor
    does not change the dtype of the result."""
    number = isinstance(x, (bool, int, float))
    return torch.tensor(x) if number and only_tensor else x
