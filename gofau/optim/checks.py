"""What a hyperparameter may be: one table, one sentence when it is not."""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Interval:
    """The numbers between ``low`` and ``high``; an end that is ``open`` does not belong."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, x: float) -> bool:
        above = x > self.low if self.open_low else x >= self.low
        below = x < self.high if self.open_high else x <= self.high
        return math.isfinite(x) and above and below

    def __str__(self) -> str:
        if self.high == math.inf:
            sign = ">" if self.open_low else "≥"
            return "finite" if self.low == -math.inf else f"{sign} {self.low:g}"
        left, right = "(" if self.open_low else "[", ")" if self.open_high else "]"
        return f"in {left}{self.low:g}, {self.high:g}{right}"


POSITIVE = Interval(0, open_low=True)
NOT_NEGATIVE = Interval(0)
DECAY_RATE = Interval(0, 1, open_high=True)

RANGES: Mapping[str, Interval] = {
    "lr": NOT_NEGATIVE,
    "weight_decay": NOT_NEGATIVE,
    "momentum": NOT_NEGATIVE,
    "dampening": Interval(),
    "lr_decay": NOT_NEGATIVE,
    "initial_accumulator_value": NOT_NEGATIVE,
    "eps": NOT_NEGATIVE,
    "rho": DECAY_RATE,
    "betas": DECAY_RATE,
    "eta_in": POSITIVE,
    "eta_out": POSITIVE,
    "alpha": Interval(0, 1),
}
ZERO_INIT = ("additive", "freeze")
FLAGS = ("nesterov", "centered", "amsgrad", "maximize", "capturable", "differentiable")
CHOICES = ("foreach", "fused")
"""Execution paths: true, false, or None, which leaves the choice to `gofau.optim.paths`."""


def one_of(what: str, value: Any, allowed: Iterable[str]) -> str:
    """``value`` if it is allowed, else a ValueError that names the nearest match."""
    names = list(allowed)
    if isinstance(value, str) and value in names:
        return value
    close = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    raise ValueError(f"{what} must be one of {', '.join(names)}, got {value!r}.{hint}")


def check_number(name: str, value: Any, interval: Interval) -> None:
    """A ValueError in one sentence where ``value``, a number or tensor of one, is out of range."""
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise ValueError(f"{name} as a tensor must have 1 element, got {value.numel()}")
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} must be a number, got {value!r}")
    if value not in interval:
        raise ValueError(f"{name} must be {interval}, got {value!r}")


def check_group(group: Mapping[str, Any]) -> None:
    """Check everything a param group carries; ValueError with one sentence for the first fault."""
    for name, interval in RANGES.items():
        if name == "betas" and "betas" in group:
            if not isinstance(group["betas"], (tuple, list)) or len(group["betas"]) != 2:
                raise ValueError(f"betas must be a pair of numbers, got {group['betas']!r}")
            for i, beta in enumerate(group["betas"]):
                check_number(f"betas[{i}]", beta, interval)
        elif name in group:
            check_number(name, group[name], interval)
    for name in FLAGS:
        if name in group and not isinstance(group[name], bool):
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
