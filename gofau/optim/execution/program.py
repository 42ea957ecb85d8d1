"""A recorded step as data: the operations of `update` on one tensor, as written by `trace.record`.

Hyperparameters are 0-d inputs of the record, so their values can change freely. Only what changes
the list of operations is a constant of the record ("baked in"): flags, and the values in `BAKED`.
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
"""Values at which a term of the step vanishes and must not be computed, since 0·inf would be NaN.
A hyperparameter that gets or leaves such a value needs another program; no other change does."""


logger = logging.getLogger(__name__)


@functools.cache
def tell_once(message: str, loud: bool = False) -> None:
    """Report once that a step takes a slower path. ``loud``: as a warning, because the user asked
    for the faster path or the record of a rule is wrong; else in the log."""
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

    ``name`` is torch's name of operator and overload, such as "mul.Tensor"; ``tensors`` says, per
    argument, whether the operator accepts only a tensor there, not a number.
    """

    name: str
    function: Any
    args: tuple[Any, ...]
    options: dict[str, float]
    tensors: tuple[bool, ...]
    out: Value


@dataclass(eq=False)  # hashed by identity, as a key of the caches of compiled steps
class Program:
    """A recorded step.

    Attributes:
        tensors: inputs of the parameter's shape: "p", "g" and the direction's buffers.
        scalars: 0-d inputs: "t" and the names of hyperparameters ("betas.0" for a pair's first).
        operations: in order of execution.
        stores: by name of a tensor, the value that is written to it at the end.
        kinds: for every value: (is it 0-d, is it boolean).
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
    """Split the group's hyperparameters into (constants of a program, inputs of a program)."""
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
    """The inverse of `split`: a group, with the values that ``free`` holds."""
    group = baked | {name: x for name, x in free.items() if "." not in name}
    if "betas.0" in free:
        group["betas"] = (free["betas.0"], free["betas.1"])
    return group
