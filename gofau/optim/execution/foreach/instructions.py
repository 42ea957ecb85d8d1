"""What a plan is made of: tensors by number, sums that are not computed yet, and what to do."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gofau.optim.execution.foreach.coefficients import Coefficient
from gofau.optim.execution.program import Operation

ON_LISTS = (
    "abs sqrt rsqrt reciprocal exp expm1 log log1p tanh sigmoid sign sin cos sinh erf floor ceil"
)
ON_LISTS = (*ON_LISTS.split(), "round", "trunc", "maximum", "minimum")
"""Operations that torch has for lists of tensors, alone and over the first argument."""


class Atom(NamedTuple):
    """A tensor: an input of the step, or the result of an instruction."""

    number: int


class Pair(NamedTuple):
    """A product or quotient of two tensors that is not computed yet; without a first one, 1/b."""

    divides: bool
    a: Atom | None
    b: Atom


@dataclass
class Form:
    """Σ c·x, and a constant if there is one."""

    terms: dict[Atom | Pair, Coefficient] = field(default_factory=dict)
    constant: Coefficient | None = None


@dataclass(frozen=True)
class Instruction:
    """``out = name(*args)``; args are Atoms, coefficients, and None where nothing is given.

    ``name`` is one of those below, or that of one of torch's operations on lists; with an
    ``operation``, the record's, there is none, and each tensor is taken by itself.

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
