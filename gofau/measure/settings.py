"""The ``measure`` section of a configuration, checked.

Every fault ends in a `UserError`: one sentence with the key, what it may be and what it was.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gofau.config.domains import POSITIVE, TEXT, Check, choice, list_of
from gofau.config.schema import Config
from gofau.errors import UserError, nearest

AXES = ("optimizer", "rule", "seed")
"""What an experiment that is measured may sweep: the rows of its files name these."""
Point = tuple[dict[str, str], Config]
"""The swept keys of a run with their values, and its settled configuration."""


def _shares(value: Any) -> bool:
    numbers = isinstance(value, list) and value and all(type(v) in (int, float) for v in value)
    return bool(numbers) and value == sorted(set(value)) and value[0] >= 0 and value[-1] <= 1


def _filled(value: Any) -> bool:
    return list_of(POSITIVE).accepts(value) and value != [] and value == sorted(set(value))


def _positive_each(value: Any) -> bool:
    return isinstance(value, dict) and all(map(POSITIVE.accepts, value.values()))


COMMON: Mapping[str, Check] = {
    "name": Check(
        "a name for a folder", lambda v: isinstance(v, str) and v.replace("_", "").isalnum()
    ),
    "task": choice("descent", "weights"),
    "moments": Check("a list of rising numbers from 0 (start) to 1 (end)", _shares),
    "results_dir": TEXT,
}
OWN: Mapping[str, Mapping[str, Check]] = {
    "descent": {
        "sizes": Check("a list of rising numbers > 0", _filled),
        "eta_in": Check("numbers > 0 by optimizer", _positive_each),
    },
    "weights": {},
}
"""The keys of each task."""


def check(points: Sequence[Point]) -> Config:
    """Check the measure section that all runs of an experiment share; returns it.

    Raises:
        UserError: there is none, a key is missing, unknown or out of range, or the experiment
            sweeps something that the files could not tell apart.
    """
    section = points[0][1].get("measure")
    if not isinstance(section, dict):
        raise UserError(
            "there is nothing to measure: give an experiment with a section `measure`, as in"
            " experiment=descent"
        )
    _check(section, "task", COMMON["task"])
    known = {**COMMON, **OWN[section["task"]]}
    for key, allowed in known.items():
        _check(section, key, allowed)
    for key in section:
        if key not in known:
            raise UserError(
                f"measure.{key}: task={section['task']} has no such key (it has:"
                f" {', '.join(known)}).{nearest(key, known)}"
            )
    for name in {config["optimizer"]["name"] for _, config in points}:
        if name not in section.get("eta_in", {name: None}):
            raise UserError(
                f"measure.eta_in has no value for optimizer={name} (it has:"
                f" {', '.join(section['eta_in'])}): give +measure.eta_in.{name}=…"
            )
    for axis in points[0][0]:
        if axis not in AXES:
            raise UserError(
                f"{axis} is swept, but only {', '.join(AXES)} may be where an experiment is"
                f" measured: give {axis} one value"
            )
    return section


def _check(section: Config, key: str, allowed: Check) -> None:
    value = section.get(key)
    if value is None:
        raise UserError(f"measure.{key} is needed: give measure.{key}=…")
    if not allowed.accepts(value):
        raise UserError(allowed.sentence(f"measure.{key}", value))
