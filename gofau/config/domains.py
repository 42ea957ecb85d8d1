"""Domains: the allowed values of configuration keys."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gofau.errors import nearest

EXACT = 2**53
"""The largest whole number of a configuration. Beyond it numbers are not exact as floats, which a
run's identity is made of: two seeds could be the same run."""


@dataclass(frozen=True)
class Check:
    """The allowed values of a key: in ``words``, for the error message, and as a test.

    Args:
        words: what the value must be.
        accepts: whether a value is allowed.
        most: the largest number that is allowed, which the message names only if it is exceeded.
        names: the allowed words, among which the message looks for the nearest match.
    """

    words: str
    accepts: Callable[[Any], bool]
    most: float = math.inf
    names: tuple[str, ...] = ()

    def sentence(self, key: str, value: Any) -> str:
        """What is wrong with a value that is not accepted.

        >>> whole(1, 10).sentence("epochs", 11)
        'epochs must be at most 10, got 11.'
        """
        values: list[Any] = value if isinstance(value, list) else [value]
        each = "a list, each " if values is value else ""
        over = any(_is_number(v) and v > self.most for v in values)
        words = f"{each}at most {self.most:,}" if over else self.words
        return f"{key} must be {words}, got {value!r}.{nearest(str(value), self.names)}"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def whole(low: int, most: int = EXACT) -> Check:
    return Check(f"a whole number ≥ {low}", lambda v: _is_whole(v) and low <= v <= most, most=most)


def number(low: float, most: float) -> Check:
    """A number in [low, most]."""
    return Check(f"a number in [{low:g}, {most:g}]", lambda v: _is_number(v) and low <= v <= most)


def optional(check: Check) -> Check:
    return replace(
        check, words=f"{check.words}, or null", accepts=lambda v: v is None or check.accepts(v)
    )


def choice(*names: str) -> Check:
    """One of these names; "true" and "false" also match YAML's booleans."""
    return Check(
        f"one of {', '.join(names)}",
        lambda v: (str(v).lower() if isinstance(v, bool) else v) in names,
        names=names,
    )


def list_of(check: Check) -> Check:
    def accepts(value: Any) -> bool:
        return isinstance(value, list) and all(check.accepts(v) for v in value)

    return Check(f"a list, each {check.words}", accepts, check.most)


def rising(check: Check) -> Check:
    """A list of at least one value, each larger than the one before."""

    def accepts(value: Any) -> bool:
        return list_of(check).accepts(value) and value != [] and value == sorted(set(value))

    return Check(f"a rising list, each {check.words}", accepts, check.most)


FLAG = Check("true or false", lambda v: isinstance(v, bool))
POSITIVE = Check("a number > 0", lambda v: _is_number(v) and v > 0)
NOT_NEGATIVE = Check("a number ≥ 0", lambda v: _is_number(v) and v >= 0)
SHARE = Check("a number in [0, 1)", lambda v: _is_number(v) and 0 <= v < 1)
INNER_SHARE = Check("a number in (0, 1)", lambda v: _is_number(v) and 0 < v < 1)
TEXT = Check("a text", lambda v: isinstance(v, str) and v != "")
NAME = Check(
    "a name of at most 100 characters without '/'",
    lambda v: TEXT.accepts(v) and len(v) <= 100 and not {"/", "\0", "\n"} & {*v},
)
"""Names are parts of the names of folders."""
