"""Domains: the allowed values of configuration keys."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """The allowed values of a key: in ``words``, for the error message, and as a test."""

    words: str
    accepts: Callable[[Any], bool]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return (_is_whole(value) or isinstance(value, float)) and math.isfinite(value)


def whole(low: int) -> Check:
    return Check(f"a whole number ≥ {low}", lambda v: _is_whole(v) and v >= low)


def optional(check: Check) -> Check:
    return Check(f"{check.words}, or null", lambda v: v is None or check.accepts(v))


def choice(*names: str) -> Check:
    """One of these names; "true" and "false" also match YAML's booleans."""
    return Check(
        f"one of {', '.join(names)}",
        lambda v: (str(v).lower() if isinstance(v, bool) else v) in names,
    )


def list_of(check: Check) -> Check:
    def accepts(value: Any) -> bool:
        return isinstance(value, list) and all(check.accepts(v) for v in value)

    return Check(f"a list, each {check.words}", accepts)


FLAG = Check("true or false", lambda v: isinstance(v, bool))
POSITIVE = Check("a number > 0", lambda v: _is_number(v) and v > 0)
NOT_NEGATIVE = Check("a number ≥ 0", lambda v: _is_number(v) and v >= 0)
SHARE = Check("a number in [0, 1)", lambda v: _is_number(v) and 0 <= v < 1)
INNER_SHARE = Check("a number in (0, 1)", lambda v: _is_number(v) and 0 < v < 1)
TEXT = Check("a text", lambda v: isinstance(v, str) and v != "")
