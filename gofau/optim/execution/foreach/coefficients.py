"""The 0-d values of a step: simplified once, when a plan is made, and computed once per step."""

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from gofau.optim.execution.program import Operation, Program, Value

Coefficient = float | Value
"""A number that is known when a plan is made, or a 0-d value that is computed per step."""


class Coefficients:
    """Arithmetic of coefficients. Numbers are computed at once; other coefficients add 0-d
    ``operations``, which are computed per step."""

    def __init__(self, program: Program) -> None:
        self.operations = [op for op in program.operations if program.is_scalar(op.out)]
        self._next = len(program.kinds)
        self._known: dict[Any, Value] = {}

    def times(self, a: Coefficient, b: Coefficient) -> Coefficient:
        a, b = (a, b) if isinstance(a, Value) else (b, a)
        if not isinstance(a, Value):
            return a * b  # type: ignore[operator]  # two numbers
        return a if b == 1 else self._new("mul", "Tensor", a, b)

    def plus(self, a: Coefficient, b: Coefficient) -> Coefficient:
        a, b = (a, b) if isinstance(a, Value) else (b, a)
        if not isinstance(a, Value):
            return a + b  # type: ignore[operator]  # two numbers
        return a if b == 0 else self._new("add", "Tensor", a, b)

    def over(self, a: Coefficient, b: Coefficient) -> Coefficient:
        if isinstance(b, Value):
            return self.times(a, self._new("reciprocal", "default", b))
        # By torch, because 1 / 0.0 raises in Python; in a plan it must be infinite.
        return self.times(a, torch.tensor(b, dtype=torch.float64).reciprocal().item())

    def keep(self, wanted: Iterable[Value]) -> None:
        """Drop the operations that none of these values depends on."""
        self.operations = needed(self.operations, wanted)

    def _new(self, name: str, overload: str, *args: Coefficient) -> Value:
        """The value of an operation; equal operations share one value."""
        if (name, *args) not in self._known:
            out = self._known[name, *args] = Value(self._next)
            self._next += 1
            function = getattr(getattr(torch.ops.aten, name), overload)
            self.operations.append(Operation(f"{name}.{overload}", function, args, {}, (), out))
        return self._known[name, *args]


def needed(operations: list[Operation], ends: Iterable[Value]) -> list[Operation]:
    """The operations that a value of ``ends`` depends on, in order."""
    wanted, kept = set(ends), []
    for op in reversed(operations):
        if op.out in wanted:
            wanted |= {a for a in op.args if isinstance(a, Value)}
            kept.append(op)
    return kept[::-1]


_ON_NUMBERS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "rsub": lambda a, b: b - a,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "pow": operator.pow,
    "reciprocal": lambda a: 1 / a,
    "eq": operator.eq,
}


def evaluate(operations: list[Operation], inputs: Mapping[Value, Any]) -> dict[Value, Any]:
    """Compute every 0-d value.

    Args:
        operations: the 0-d operations, in order.
        inputs: numbers, 0-d tensors, or vectors with one element per parameter.

    Returns:
        Numbers if all inputs are numbers; else 0-d tensors and vectors.
    """
    if not any(isinstance(x, Tensor) for x in inputs.values()):
        try:  # many times faster than 0-d tensors
            return _evaluated(operations, inputs, lambda op: _ON_NUMBERS[op.name.split(".")[0]])
        except (ArithmeticError, LookupError, TypeError):
            pass  # such as 1 / 0: an error for numbers, but not for tensors
    wide = {
        value: x if isinstance(x, Tensor) else torch.tensor(x, dtype=torch.float64)
        for value, x in inputs.items()
    }
    return _evaluated(operations, wide, lambda op: op.function)


def _evaluated(
    operations: list[Operation],
    inputs: Mapping[Value, Any],
    function_of: Callable[[Operation], Callable[..., Any]],
) -> dict[Value, Any]:
    known = dict(inputs)
    for op in operations:
        args = [known[a] if isinstance(a, Value) else a for a in op.args]
        known[op.out] = function_of(op)(*args, **op.options)
        if isinstance(known[op.out], complex):
            raise ArithmeticError("a root of a negative number")
    return known
