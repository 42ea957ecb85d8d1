"""The ``toy`` section of a configuration, checked.

Every fault ends in a `UserError`: one sentence with the key, what it may be and what it was.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gofau.config.domains import POSITIVE, TEXT, Check, choice, list_of, rising, whole
from gofau.config.schema import Config
from gofau.errors import UserError, nearest, no_key
from gofau.optim import SGD, Adagrad, Adam, AdamW, RMSprop, RuleOptimizer
from gofau.toy.descent import Arm
from gofau.toy.problems import PROBLEMS, Problem

OPTIMIZERS: Mapping[str, type[RuleOptimizer]] = {
    kind.__name__.lower(): kind for kind in (SGD, Adagrad, RMSprop, Adam, AdamW)
}
OVER_A_GRID, OVER_DRAWS = ("scores", "starts", "paths"), ("tuned", "random")
"""Tasks: learning rates of a grid over many starts, or drawn configurations from few."""
MOST = 2000
"""Starts along one side of the problem's box; with more, the starts do not fit into memory."""


LOOKS = rising(whole(1, 1_000_000))


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and all(v is None or isinstance(v, dict) for v in value.values())


COMMON: Mapping[str, Check] = {
    "name": Check(
        "a name for a folder", lambda v: isinstance(v, str) and v.replace("_", "").isalnum()
    ),
    "task": choice(*OVER_A_GRID, *OVER_DRAWS),
    "cases": list_of(Check("problem/optimizer", lambda v: str(v).count("/") == 1)),
    "steps": whole(1, 10_000_000),
    "dtype": choice("float32", "float64"),
    "results_dir": TEXT,
    "optimizers": Check("hyperparameters by optimizer", lambda v: _is_table(v)),
}
GRID: Mapping[str, Check] = {
    "every": whole(1),
    "tolerance": POSITIVE,
    "lrs": Check(
        "a list of at least one number > 0", lambda v: list_of(POSITIVE).accepts(v) and v != []
    ),
    "rules": Check("rules with their hyperparameters", lambda v: _is_table(v)),
}
SECTION = Check("a section", lambda v: isinstance(v, dict))
DRAWS: Mapping[str, Check] = {
    "draws": SECTION,
    "draws.sequence": choice("sobol", "random"),
    "draws.seed": whole(0),
    "draws.repeats": whole(1, 100_000),
    "draws.looks": LOOKS,
    "draws.ranges": SECTION,
    "draws.arms": SECTION,
}


@dataclass(frozen=True)
class Case:
    """A problem and an optimizer, with the arms that are compared on them.

    Attributes:
        problem, optimizer: their names.
        rules: the rule of each arm.
        lrs: the learning rate of each arm.
        default_lr: the optimizer's own.
        make: the optimizer of a list of param groups.
        arms: the hyperparameters of each arm.
    """

    problem: str
    optimizer: str
    rules: list[str]
    lrs: list[float]
    default_lr: float
    make: Callable[..., torch.optim.Optimizer]
    arms: list[Arm]

    @property
    def f(self) -> Problem:
        return PROBLEMS[self.problem]


def check(toy: Config) -> None:
    """Check a toy section.

    Raises:
        UserError: a key is missing, unknown or out of range.
    """
    _check(toy, COMMON)
    own = GRID if toy["task"] in OVER_A_GRID else DRAWS
    _check(toy, own)
    _refuse_unknown("toy", toy, [*COMMON, *own, "starts"])
    if own is DRAWS:
        keys = [key.removeprefix("draws.") for key in DRAWS if key != "draws"]
        _refuse_unknown("toy.draws", toy["draws"], keys)
    for name, values in toy["optimizers"].items():
        _known("optimizer", name, OPTIMIZERS, "toy.optimizers")
        if "lr" in (values or {}):
            raise UserError(f"toy.optimizers.{name}.lr has no effect: the task sets lr")
    for key in ("cases", "rules", "draws.arms"):
        if _look_up(toy, key) in ([], {}):
            raise UserError(f"toy.{key} is empty: there is nothing to do")


def _check(toy: Config, checks: Mapping[str, Check]) -> None:
    for key, allowed in checks.items():
        value = _look_up(toy, key)
        if value is None:
            raise UserError(f"toy.{key} is needed: give toy.{key}=…")
        if not allowed.accepts(value):
            raise UserError(allowed.sentence(f"toy.{key}", value))


def _refuse_unknown(section: str, given: Config, known: list[str]) -> None:
    for key in given:
        if key not in known:
            raise UserError(no_key(f"{section}.{key}", known))


def _look_up(section: Any, key: str) -> Any:
    for part in key.split("."):
        section = section.get(part) if isinstance(section, dict) else None
    return section


def cases(toy: Config) -> list[Case]:
    """The cases that a checked section names, each with every rule at every learning rate: those of
    the grid, and the optimizer's default.

    Raises:
        UserError: there is no such problem or optimizer, or the optimizer refuses a value.
    """
    found = []
    for problem, name in named(toy):
        kind = OPTIMIZERS[name]
        default = inspect.signature(kind).parameters["lr"].default
        grid = sorted({*map(float, toy["lrs"]), default})
        rules = {rule: dict(values or {}) for rule, values in toy["rules"].items()}
        pairs = [(rule, lr) for rule in rules for lr in grid]
        arms: list[Arm] = [{"rule": rule, "lr": lr, **rules[rule]} for rule, lr in pairs]
        # One compiled loop per step: with arrays so small, Python would take most of the time.
        make = partial(kind, fused=True, **(toy["optimizers"].get(name) or {}))
        attempt(name, make, arms)
        names, lrs = [rule for rule, _ in pairs], [lr for _, lr in pairs]
        found.append(Case(problem, name, names, lrs, default, make, arms))
    return found


def named(toy: Config) -> list[tuple[str, str]]:
    """Problem and optimizer of each case.

    Raises:
        UserError: there is no such problem or optimizer.
    """
    found = []
    for problem, name in (case.split("/") for case in toy["cases"]):
        _known("problem", problem, PROBLEMS)
        _known("optimizer", name, OPTIMIZERS)
        found.append((problem, name))
    return found


def attempt(name: str, make: Callable[..., Any], arms: list[Arm]) -> None:
    """Make the optimizer of that name once, to find out whether it takes these arms.

    Raises:
        UserError: it does not.
    """
    try:
        make([{"params": [torch.zeros(1)], **arm} for arm in arms])
    except (ValueError, TypeError) as e:
        raise UserError(f"toy: {name}: {e}") from e


def _known(what: str, name: str, table: Mapping[str, Any], key: str = "toy.cases") -> None:
    if name not in table:
        known = ", ".join(table)
        raise UserError(
            f"{key}: there is no {what} '{name}' (there is: {known}).{nearest(name, table)}"
        )


def starts(toy: Config, problem: str) -> Tensor:
    """The starting points of a problem, of shape (starts, 2): those listed for it, or a grid over
    its box, x0 varying slowest.

    Raises:
        UserError: ``toy.starts`` is neither, or does not know the problem.
    """
    given, dtype = toy["starts"], getattr(torch, toy["dtype"])
    if whole(1, MOST).accepts(given):
        axes = [torch.linspace(*side, given, dtype=dtype) for side in PROBLEMS[problem].box]
        return torch.cartesian_prod(*axes)
    points = given.get(problem) if isinstance(given, dict) else None
    if not points or not all(_is_point(point) for point in points):
        raise UserError(
            f"toy.starts must be a whole number from 1 to {MOST}, or have a list of pairs for"
            f" {problem}, got {given!r}"
        )
    return torch.tensor(points, dtype=dtype)


def _is_point(point: Any) -> bool:
    return (
        isinstance(point, list)
        and len(point) == 2
        and all(isinstance(x, int | float) and math.isfinite(x) for x in point)
    )
