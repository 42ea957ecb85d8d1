"""How large a value of a step can get, as far as the formula itself says so.

Madam's step clips the normalised gradient before it takes the exponential, so that the exponent is
at most lr·g_bound: 0.1 with the defaults. There, e^x − 1 needs neither the reduction of its
argument nor a power of two: the polynomial alone gives the same bits (but for the sign of a zero),
and the arithmetic of the whole step takes a third less time.
"""

import math
from typing import Any

from gofau.optim.execution.program import Operation, Program, Value

Bounds = dict[Value, str]


def bounds_of(program: Program) -> Bounds:
    """For each value that has one, the largest magnitude as a C expression of numbers and of 0-d
    values (``v5``). What is not a number has no magnitude and passes every bound; an expression may
    itself be not a number, and then no comparison with it holds.

    Example: of ``clamp(g, -1, 1) * lr`` it is ``(1.0 * fabs(v4))``, if v4 is the learning rate.
    """
    found: Bounds = {v: f"fabs(v{v.number})" for v in program.scalars.values()}
    for op in program.operations:
        if program.is_scalar(op.out):
            found[op.out] = f"fabs(v{op.out.number})"
        elif (bound := _bound(op, found)) is not None:
            found[op.out] = bound
    return found


def _bound(op: Operation, found: Bounds) -> str | None:
    """That of the result of an operation, from those of its arguments."""
    name = op.name.split(".")[0]
    if name in ("sign", "sgn"):
        return "1.0"
    if name == "clamp" and (limits := _limits(op.args[1:])):
        return repr(max(limits))
    if name not in ("neg", "abs", "mul"):
        return None
    of = [_of(x, found) for x in op.args]
    if None in of:
        return None
    return of[0] if name != "mul" else f"({of[0]} * {of[1]})"


def _limits(ends: tuple[Any, ...]) -> list[float] | None:
    """The magnitudes of the two ends of a clamp, if both are finite numbers of the formula."""
    if len(ends) != 2 or not all(isinstance(x, (int, float)) and math.isfinite(x) for x in ends):
        return None
    return [abs(float(x)) for x in ends]


def _of(x: Any, found: Bounds) -> str | None:
    return found.get(x) if isinstance(x, Value) else repr(abs(float(x)))
