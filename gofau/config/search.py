"""Draws hyperparameters from ranges: the same points for every arm, from one sequence.

An arm is an optimizer with a rule. Point k is number k + 1 of Halton's sequence in bases 2, 3 and
5; its coordinates give the learning rate, η_in and γ. So a sweep over ``search.trial=0,1,2,…``
tries the same relative positions in the ranges of every arm, for any number of trials. After 25
trials each fifth of every range has been tried about equally often.
Source: J. H. Halton, *On the efficiency of certain quasi-random sequences of points in evaluating
multi-dimensional integrals* (1960).
"""

from collections.abc import Mapping
from typing import Any

from gofau.config.domains import whole
from gofau.errors import UserError

BASES = (2, 3, 5)
TRIAL = whole(0)
Config = dict[str, Any]


def point(trial: int) -> tuple[float, ...]:
    """Point number ``trial`` (0, 1, …) of the sequence, in the open unit cube.

    >>> point(0) == (1 / 2, 1 / 3, 1 / 5)
    True
    """
    return tuple(_mirrored(trial + 1, base) for base in BASES)


def _mirrored(number: int, base: int) -> float:
    """Mirror the digits of a number at the radix point: 6 = 110 in base 2 becomes 0.011."""
    value, share = 0.0, 1.0
    while number:
        number, digit = divmod(number, base)
        share /= base
        value += digit * share
    return value


def draw(config: Config) -> None:
    """Set the hyperparameters that the ``search`` section has ranges for, in place, rounded to
    three digits. Hyperparameters that the rule does not have are skipped.

    Raises:
        UserError: there is no range for the optimizer and rule, or a range is not [low, high].
    """
    search = config["search"]
    trial = search.get("trial")
    if not TRIAL.accepts(trial):
        raise UserError(TRIAL.sentence("search.trial", trial))
    optimizer, rule = config["optimizer"]["name"], config["rule"]["name"]
    x, y, z = point(trial)
    missing = [key for key in ("lr", "eta_in", "gamma") if key not in search]
    if missing:
        raise UserError(f"search.{missing[0]} is required: give the ranges to draw from")
    rates = _of(search["lr"], optimizer, "lr")
    config["optimizer"]["lr"] = _logarithmic(x, _of(rates, rule, f"lr.{optimizer}"))
    if "eta_in" in config["rule"]:
        config["rule"]["eta_in"] = _logarithmic(y, _of(search["eta_in"], optimizer, "eta_in"))
    if "gamma" in config["rule"]:
        low, high = _range(search["gamma"])
        config["rule"]["gamma"] = _round(low + z * (high - low))


def _of(table: Any, name: str, key: str) -> Any:
    if not isinstance(table, Mapping):
        raise UserError(f"search.{key} must have a range per name, got {table!r}")
    if name not in table:
        known = ", ".join(table)
        raise UserError(f"search.{key} has no range for {name} (it has: {known})")
    return table[name]


def _logarithmic(x: float, ends: Any) -> float:
    low, high = _range(ends)
    if low <= 0:
        raise UserError(f"a range on a logarithmic scale must be above 0, got {ends}")
    return _round(low * (high / low) ** x)


def _range(ends: Any) -> tuple[float, float]:
    numbers = isinstance(ends, list) and all(isinstance(x, (int, float)) for x in ends)
    if not numbers or len(ends) != 2 or not ends[0] < ends[1]:
        raise UserError(f"a range of search must be [low, high], got {ends!r}")
    return float(ends[0]), float(ends[1])


def _round(x: float) -> float:
    return float(f"{x:.3g}")
