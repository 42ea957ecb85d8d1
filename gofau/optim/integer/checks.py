"""Allowed values of the hyperparameters of `IntegerMadam`, and their check per param group."""

from collections.abc import Mapping
from typing import Any

from gofau.optim.checks import DECAY_RATE, ZERO_INIT, Interval, check_number, one_of
from gofau.optim.integer.weights import number_system
from gofau.optim.lns import POSITIVE
from gofau.optim.update import PLAIN

INIT = ("encode", "random")
FACTOR = Interval(0, open_high=True)
RANGES: Mapping[str, Interval] = {
    "lr": FACTOR,
    "min_lr_factor": FACTOR,
    "p_scale": POSITIVE,
    "g_bound": Interval(0, open_low=True),
    "beta": DECAY_RATE,
}
REFUSED = ("foreach", "fused", "capturable", "differentiable")


def check(group: dict[str, Any]) -> None:
    """Raise a ValueError for the first setting or parameter that is not allowed."""
    number_system(group)
    for name, interval in RANGES.items():
        check_number("lr_factor" if name == "lr" else name, group[name], interval)
    least = group["min_lr_factor"]
    if float(group["lr"]) < least:
        raise ValueError(
            f"lr_factor must be ≥ min_lr_factor, which is {least:g}, got {group['lr']!r}"
        )
    one_of("init", group["init"], INIT)
    one_of("zero_init", group["zero_init"], ZERO_INIT)
    for name in REFUSED:
        if group[name]:
            raise ValueError(f"IntegerMadam has no {name}: leave it out")
    if not isinstance(group["maximize"], bool):
        raise ValueError(f"maximize must be true or false, got {group['maximize']!r}")
    for p in group["params"]:
        if type(p) not in PLAIN or not p.is_floating_point() or p.device.type == "meta":
            kind = f"{type(p).__name__} of {p.dtype} on {p.device.type}"
            raise ValueError(f"IntegerMadam takes plain tensors of real floats, got a {kind}")
