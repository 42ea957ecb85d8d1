"""Gives an arm its hyperparameters: drawn from ranges, or chosen by an earlier search.

An arm is an optimizer with a rule, a step size and a post step. A search draws: the same points for
every arm, from one sequence. Point k is number k + 1 of Halton's sequence in bases 2, 3 and 5; its
coordinates give the learning rate, the gain or scale of the rule or post step (η_in, β, α), and γ.
So a sweep over ``search.trial=0,1,2,…`` tries the same relative positions in the ranges of every
arm, for any number of trials. After 25 trials each fifth of every range has been tried about
equally often.
Source: J. H. Halton, *On the efficiency of certain quasi-random sequences of points in evaluating
multi-dimensional integrals* (1960).

What a search has found is used again with ``search=chosen/<problem>``; ``search.lr_factor``
multiplies the chosen learning rates.
"""

from collections.abc import Mapping
from typing import Any

from gofau.config.domains import number, whole
from gofau.errors import UserError

BASES = (2, 3, 5)
TRIAL = whole(0)
SHIFT = number(-10, 10)
"""Decades by which the ranges of the learning rates are moved."""
Config = dict[str, Any]
SECTIONS = {"lr": "optimizer", "ham_alpha": "post_step"}
"""Hyperparameter → its section, for those that are not the rule's."""


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


def arm(config: Config) -> str:
    """The name of the arm without its rule: ``sgd``, or ``adamw+trust_ratio`` with a step size that
    is not the base's own, ``sgd+ham`` with a post step."""
    step, post = config["stepsize"]["name"], config["post_step"]["name"]
    more = [step] * (step != "base") + [post] * (post != "none")
    return "+".join([config["optimizer"]["name"], *more])


def draw(config: Config) -> None:
    """Set the hyperparameters that the ``search`` section has ranges or values for, in place.
    Hyperparameters that the rule does not have are skipped.

    Raises:
        UserError: there is nothing for the arm, or a range is not [low, high].
    """
    search = config["search"]
    if "arms" in search:
        _take_chosen(config, search)
    else:
        _draw(config, search)


def _take_chosen(config: Config, search: Config) -> None:
    rules = _of(search["arms"], arm(config), "arms")
    values = _of(rules, config["rule"]["name"], f"arms.{arm(config)}")
    for name, value in values.items():
        config[SECTIONS.get(name, "rule")][name] = value
    config["optimizer"]["lr"] = _round(config["optimizer"]["lr"] * _needed(search, "lr_factor"))


def _draw(config: Config, search: Config) -> None:
    """Draw a point, rounded to three digits."""
    trial: Any = search.get("trial")
    if not TRIAL.accepts(trial):
        raise UserError(TRIAL.sentence("search.trial", trial))
    rule = config["rule"]
    x, y, z = point(trial)
    rates = _of(_needed(search, "lr"), arm(config), "lr")
    rate = _logarithmic(x, _of(rates, rule["name"], f"lr.{arm(config)}"))
    shift: Any = search.get("shift", 0)
    if not SHIFT.accepts(shift):
        raise UserError(SHIFT.sentence("search.shift", shift))
    config["optimizer"]["lr"] = _round(rate * 10**shift)
    if "eta_in" in rule:
        ranges = _of(_needed(search, "eta_in"), config["optimizer"]["name"], "eta_in")
        rule["eta_in"] = _logarithmic(y, ranges)
    if "hyp_beta" in rule:
        rule["hyp_beta"] = _logarithmic(y, _needed(search, "hyp_beta"))
    if "ham_alpha" in config["post_step"]:
        config["post_step"]["ham_alpha"] = _logarithmic(y, _needed(search, "ham_alpha"))
    if "gamma" in rule:
        low, high = _range(_needed(search, "gamma"))
        rule["gamma"] = _round(low + z * (high - low))


def _needed(search: Config, key: str) -> Any:
    if key not in search:
        raise UserError(f"search.{key} is required: give the ranges to draw from")
    return search[key]


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
