"""The data types of a plan: tensors by number, sums not computed yet, and instructions."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gofau.optim.execution.foreach.coefficients import Coefficient
from gofau.optim.execution.program import Operation

ON_LISTS = (
    "abs sqrt rsqrt reciprocal exp expm1 log log1p tanh sigmoid sign sin cos sinh erf floor ceil"
)
ON_LISTS = (*ON_LISTS.split(), "round", "trunc", "maximum", "minimum")
"""Operations that torch has for lists of tensors, both with a new result and in place."""


class Atom(NamedTuple):
    """A tensor: an input of the step, or the result of an instruction."""

    number: int


class Pair(NamedTuple):
    """A product a·b or quotient a/b of two tensors that is not computed yet; 1/b if a is None."""

    divides: bool
    a: Atom | None
    b: Atom


@dataclass
class Form:
    """A value as a sum Σ c·x, plus a constant if there is one."""

    terms: dict[Atom | Pair, Coefficient] = field(default_factory=dict)
    constant: Coefficient | None = None


@dataclass(frozen=True)
class Instruction:
    """``out = name(*args)``; args are Atoms, coefficients, and None for an argument not given.

    ``name`` is one of those below, or torch's name of an operation on lists. If ``operation`` is
    set, torch has no such operation on lists: the recorded one is applied to each tensor by itself.

    ======= ========== ============
    scale   x, c       c·x
    shift   x, c       x + c
    axpy    x, y, c    x + c·y
    addcmul x, y, z, c x + c·y·z
    addcdiv x, y, z, c x + c·y/z
    lerp    x, y, c    x + c·(y − x)
    widen   x          x in float32
    ======= ========== ============
    """

    name: str
    args: tuple[Any, ...]
    out: Atom
    operation: Operation | None = None

    @property
    def atoms(self) -> set[Atom]:
        return {a for a in self.args if isinstance(a, Atom)}
