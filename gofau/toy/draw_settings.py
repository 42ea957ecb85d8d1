"""The ``draws`` part of a ``toy`` section, checked: configurations drawn from ranges.

Every fault ends in a `UserError`: one sentence with the key, what it may be and what it was.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from gofau.config.domains import FLAG, TEXT, list_of
from gofau.config.schema import Config
from gofau.errors import UserError, nearest
from gofau.optim import RULES, RuleOptimizer
from gofau.toy.configurations import Range
from gofau.toy.settings import OPTIMIZERS, attempt, named, starts

NAMES = list_of(TEXT)


@dataclass(frozen=True)
class DrawnArm:
    """A rule, and the drawn hyperparameters that it is given."""

    rule: str
    draws: list[str]


@dataclass(frozen=True)
class Drawn:
    """A section with drawn configurations.

    Attributes:
        cases: problem and optimizer, by name.
        starts: of each problem, of shape (2,).
        makes: the optimizer of a list of param groups, by name.
        ranges: of each hyperparameter that is drawn.
        arms: what is compared, by name.
    """

    cases: list[tuple[str, str]]
    starts: Mapping[str, list[Tensor]]
    makes: Mapping[str, Callable[..., RuleOptimizer]]
    ranges: Mapping[str, Range]
    arms: Mapping[str, DrawnArm]


def drawn(toy: Config) -> Drawn:
    """Read a checked section with drawn configurations.

    Raises:
        UserError: there is no such problem, optimizer, rule or range, or one is refused.
    """
    ranges = {name: _range(name, of) for name, of in toy["draws"]["ranges"].items()}
    arms = {name: _drawn_arm(name, of, ranges) for name, of in toy["draws"]["arms"].items()}
    cases = named(toy)
    makes: dict[str, Callable[..., RuleOptimizer]] = {}
    for _, name in cases:
        makes[name] = partial(OPTIMIZERS[name], **(toy["optimizers"].get(name) or {}))
        for arm in arms.values():
            lowest = {key: ranges[key].low for key in arm.draws}
            attempt(name, makes[name], [{"rule": arm.rule, **lowest}])
    points = {problem: list(starts(toy, problem)) for problem, _ in cases}
    return Drawn(cases, points, makes, ranges, arms)


def _range(name: str, given: Any) -> Range:
    try:
        found = Range(**given)
    except TypeError:
        found = None
    if (
        found is None
        or not FLAG.accepts(found.log)
        or not all(isinstance(x, int | float) and math.isfinite(x) for x in (found.low, found.high))
        or not (0 if found.log else -math.inf) < found.low < found.high
    ):
        raise UserError(
            f"toy.draws.ranges.{name} must have low < high and log (true or false; then low > 0), "
            f"got {given!r}"
        )
    return found


def _drawn_arm(name: str, given: Any, ranges: Mapping[str, Range]) -> DrawnArm:
    key = f"toy.draws.arms.{name}"
    if not isinstance(given, dict) or set(given) != {"rule", "draws"} or not given["draws"]:
        raise UserError(f"{key} must have a rule and a list of what it draws, got {given!r}")
    if given["rule"] not in RULES:
        hint = nearest(given["rule"], RULES)
        raise UserError(
            f"{key}.rule must be one of {', '.join(RULES)}, got {given['rule']!r}.{hint}"
        )
    for what in given["draws"] if NAMES.accepts(given["draws"]) else [given["draws"]]:
        if what not in ranges:
            raise UserError(f"{key}.draws: there is no range of {what!r}.{nearest(what, ranges)}")
    return DrawnArm(given["rule"], given["draws"])
