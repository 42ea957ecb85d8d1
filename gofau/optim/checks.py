"""Allowed values of the hyperparameters, and the checks that raise an error for others."""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from torch import Tensor


class StepRefused(ValueError):
    """A step that is not taken: a rule, or a value set after construction, is not allowed."""


@dataclass(frozen=True)
class Interval:
    """The numbers between ``low`` and ``high``; an open end is excluded. No interval contains
    NaN."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, x: float) -> bool:
        above = x > self.low if self.open_low else x >= self.low
        below = x < self.high if self.open_high else x <= self.high
        return above and below

    def __str__(self) -> str:
        if self.low == -math.inf:
            return "a number, not NaN"
        if self.high == math.inf:
            finite = " and finite" if self.open_high else ""
            return f"{'>' if self.open_low else '≥'} {self.low:g}{finite}"
        left, right = "(" if self.open_low else "[", ")" if self.open_high else "]"
        return f"in {left}{self.low:g}, {self.high:g}{right}"


ANY = Interval()
NOT_NEGATIVE = Interval(0)
POSITIVE = Interval(0, open_low=True, open_high=True)
DECAY_RATE = Interval(0, 1, open_high=True)

RANGES: Mapping[str, Interval] = {
    "lr": NOT_NEGATIVE,
    "weight_decay": NOT_NEGATIVE,
    "momentum": NOT_NEGATIVE,
    "dampening": ANY,
    "lr_decay": NOT_NEGATIVE,
    "initial_accumulator_value": NOT_NEGATIVE,
    "eps": NOT_NEGATIVE,
    "alpha": NOT_NEGATIVE,
    "betas": DECAY_RATE,
    "beta": DECAY_RATE,
    "p_scale": POSITIVE,
    "g_bound": POSITIVE,
}
"""Ranges of the base optimizers' hyperparameters: as in torch, infinity included. A rule declares
the ranges of its own hyperparameters (`gofau.optim.hyperparameters`)."""
ZERO_INIT = ("additive", "freeze")
FLAGS = (
    *("nesterov", "centered", "amsgrad", "maximize", "capturable", "differentiable"),
    "decoupled_weight_decay",
)
CHOICES = ("foreach", "fused")
"""Flags of the execution paths: true, false, or None to let `gofau.optim.execution.dispatch`
choose."""


def one_of(what: str, value: Any, allowed: Iterable[str]) -> str:
    """Return ``value`` if it is allowed, else raise a ValueError that names the nearest match."""
    names = list(allowed)
    if isinstance(value, str) and value in names:
        return value
    close = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    raise ValueError(f"{what} must be one of {', '.join(names)}, got {value!r}.{hint}")


def check_number(name: str, value: Any, interval: Interval) -> None:
    """Raise a ValueError if ``value``, a number or a tensor of one element, is out of range."""
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise ValueError(f"{name} as a tensor must have 1 element, got {value.numel()}")
        if value.device.type == "meta":
            return
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{name} must be a number, got {value!r}")
    if float(value) not in interval:
        raise ValueError(f"{name} must be {interval}, got {value!r}")


def check_group(group: Mapping[str, Any]) -> None:
    """Check all settings of a param group; ValueError for the first that is not allowed."""
    for name, interval in RANGES.items():
        if name == "betas" and "betas" in group:
            pair: Any = group["betas"]
            if type(pair) not in (tuple, list) or len(pair) != 2:
                raise ValueError(f"betas must be a pair of numbers, got {pair!r}")
            for i, beta in enumerate(pair):
                check_number(f"betas[{i}]", beta, interval)
        elif name in group:
            check_number(name, group[name], interval)
    for name in FLAGS:
        if group.get(name) is not None and not isinstance(group[name], bool):
            raise ValueError(f"{name} must be true or false, got {group[name]!r}")
    _check_path(group)
    one_of("zero_init", group["zero_init"], ZERO_INIT)
    if group.get("nesterov") and (group["momentum"] <= 0 or group["dampening"] != 0):
        raise ValueError("nesterov needs a momentum above 0 and dampening 0")


def _check_path(group: Mapping[str, Any]) -> None:
    for name in CHOICES:
        if group.get(name) is not None and not isinstance(group[name], bool):
            raise ValueError(f"{name} must be true, false or None, got {group[name]!r}")
        if group.get(name) and group["differentiable"]:
            raise RuntimeError(f"{name} does not support differentiable: leave {name} out")
    if group.get("foreach") and group.get("fused"):
        raise RuntimeError("foreach and fused cannot be true together")


def plain(group: Mapping[str, Any]) -> dict[str, Any]:
    """The group with every number as a Python number or a 0-d tensor, for the step to compute with.

    torch accepts tensors of one element and numpy scalars as hyperparameters; but the former would
    broadcast, and the latter would turn tensors into arrays.
    """
    return {name: x if name == "params" else _plain(x) for name, x in group.items()}


def _plain(x: Any) -> Any:
    if isinstance(x, Tensor):
        return x.reshape(()) if x.dim() else x
    if isinstance(x, (tuple, list)):
        return tuple(map(_plain, x))
    if isinstance(x, (bool, int, float, str)) or not isinstance(x, Real):
        return x
    return float(x)
