"""A step as data: the operations that `update` performs on one tensor, as `record` wrote them down.

Hyperparameters are 0-d inputs of the record, so that their values can change freely. Only what
changes which operations there are is baked in: flags, and the values in `BAKED`.
"""

import functools
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

from gofau.optim.checks import FLAGS, RANGES
from gofau.optim.directions import Group
from gofau.optim.rules import Rule

BAKED: Mapping[str, tuple[float, ...]] = {"weight_decay": (0,), "momentum": (0,), "gamma": (0, 1)}
"""Values at which a term of the step vanishes, so that it need not (and, as 0·inf is no zero, must
not) be computed. Crossing one is another program; every other change of value is not."""


logger = logging.getLogger(__name__)


@functools.cache
def tell_once(message: str, loud: bool = False) -> None:
    """Tell that a step goes a slower way than it might: in the log, or as a warning where the user
    has asked for that way, or where a rule turned out to be none that can be recorded."""
    if loud:
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    else:
        logger.info(message)


class Unsupported(Exception):
    """The step does something that is not an elementwise operation on tensors of one shape."""


class Value(NamedTuple):
    """An input or a result of an operation, by number."""

    number: int


@dataclass(frozen=True)
class Operation:
    """``out = function(*args, **options)``; args are Values and Python numbers.

    ``name`` is that of torch's operator and overload, as in "mul.Tensor"; ``tensors`` says which of
    its arguments it takes as tensors only, not as numbers.
    """

    name: str
    function: Any
    args: tuple[Any, ...]
    options: dict[str, float]
    tensors: tuple[bool, ...]
    out: Value


@dataclass(eq=False)  # known by identity, so that what is compiled of it can be found
class Program:
    """A recorded step.

    Attributes:
        tensors: inputs of the parameter's shape: "p", "g" and the direction's buffers.
        scalars: 0-d inputs: "t" and the names of hyperparameters ("betas.0" for a pair's first).
        operations: in order of execution.
        stores: what is left in which tensor at the end.
        kinds: of every value: (0-d?, boolean?).
    """

    tensors: dict[str, Value] = field(default_factory=dict)
    scalars: dict[str, Value] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    stores: dict[str, Value] = field(default_factory=dict)
    kinds: dict[Value, tuple[bool, bool]] = field(default_factory=dict)

    def is_scalar(self, value: Value) -> bool:
        return self.kinds[value][0]

    def is_boolean(self, value: Value) -> bool:
        return self.kinds[value][1]


def split(rule: Rule, group: Group) -> tuple[dict[str, Any], dict[str, Any]]:
    """The group's hyperparameters as (those a program has baked in, those it takes as inputs)."""
    baked: dict[str, Any] = {}
    free: dict[str, Any] = {}
    for name in dict.fromkeys((*RANGES, *FLAGS, *rule.hyperparameters)):
        if name not in group:
            continue
        value = group[name]
        if name == "lr" or isinstance(value, Tensor):
            free[name] = value
        elif name == "betas":
            free |= {f"betas.{i}": beta for i, beta in enumerate(value)}
        elif isinstance(value, bool) or not isinstance(value, (int, float)):
            baked[name] = value
        elif value in BAKED.get(name, ()):
            baked[name] = float(value)
        else:
            free[name] = value
    return baked, free


def join(baked: dict[str, Any], free: Mapping[str, Any]) -> Group:
    """`split` undone: a group again, of whatever ``free`` holds."""
    group = baked | {name: x for name, x in free.items() if "." not in name}
    if "betas.0" in free:
        group["betas"] = (free["betas.0"], free["betas.1"])
    return group
