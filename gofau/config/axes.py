"""The points of a sweep: the product of its axes, crossed with its arms.

Hydra's own sweeps are products of axes (``hydra.sweeper.params``). Some comparisons are not: a rule
varies for Adam and SGD, but Madam has a rule of its own. Such a comparison lists its *arms*, small
products whose union is taken::

    hydra:
      sweeper:
        params: {seed: "0,1,2,3,4"}
        arms:
          - {optimizer: "sgd,adam", rule: "additive,hybrid"}
          - {optimizer: madam}
          - {optimizer: adamw, rule: additive, stepsize: trust_ratio}

This sweep has (4 + 1 + 1) · 5 runs.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep

from gofau.errors import UserError

Point = dict[str, str]
"""Key → value, as typed: the overrides of one run."""
LONGEST = 100_000
"""The number of runs that one command may have. More is a slip of the keyboard."""


def points(
    parser: OverridesParser,
    params: Mapping[str, Any],
    arms: Sequence[Mapping[str, Any]],
    typed: Sequence[str],
) -> tuple[Point, list[Point]]:
    """Expand a sweep.

    Args:
        parser: Hydra's parser of overrides.
        params, arms: as in the configuration of the sweeper.
        typed: the overrides of the command line. They replace axes of ``params``. Where a key of
            the arms is typed, the arms with one of its values are kept; a typed value that no arm
            has is given to all arms.

    Returns:
        what all runs have in common, and for each run what is its own.
    """
    words = [*_lines(params), *typed]
    axes = {o.key_or_group: o for o in parser.parse_overrides(words)}
    kept = list(_union(parser, arms))
    for key in {key for arm in kept for key in arm} & axes.keys():
        known, bare = {arm.get(key) for arm in kept}, _without(kept, key)
        if known.isdisjoint(_values(axes[key])):
            kept = bare
            continue
        # A value that no arm has, such as a new rule beside known ones, must not be dropped.
        values = _values(axes.pop(key))
        new = [arm | {key: value} for value in values if value not in known for arm in bare]
        kept = [arm for arm in kept if arm.get(key) in values] + new
    swept = {o.get_key_element(): _values(o) for o in axes.values() if o.is_sweep_override()}
    fixed = {o.get_key_element(): _values(o)[0] for o in axes.values() if not o.is_sweep_override()}
    _check_size(len(kept or [{}]) * math.prod(map(len, swept.values())))
    own = (dict(zip(swept, values, strict=True)) for values in product(*swept.values()))
    return fixed, [point | arm for point in own for arm in kept or [{}]]


def overrides(point: Point) -> list[str]:
    """The point as Hydra's overrides."""
    return [f"{key}={value}" for key, value in point.items()]


def _lines(params: Mapping[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in params.items()]


def values_of(override: Override) -> list[str]:
    """The values of a sweep's axis, as texts.

    Raises:
        UserError: an interval, a range without an end, or one with more than `LONGEST` values,
            which would take all of the memory.
    """
    if override.is_interval_sweep():
        raise UserError(
            f"{override.input_line}: an interval has no list of values; hydra/sweeper=optuna"
            " searches in one"
        )
    span = override.value()
    if isinstance(span, RangeSweep):
        start, stop, step = (float(part or 0) for part in (span.start, span.stop, span.step))
        if step == 0:
            raise UserError(f"{override.input_line}: the third number, the step, must not be 0")
        _check_size(math.ceil((stop - start) / step))
    return [str(value) for value in override.sweep_string_iterator()]


def _check_size(runs: int) -> None:
    if runs > LONGEST:
        raise UserError(f"this is a sweep of {runs:,} runs: at most {LONGEST:,} go in one command")


def _values(override: Override) -> list[str]:
    if override.is_sweep_override():
        return values_of(override)
    return [override.get_value_element_as_str()]


def _union(parser: OverridesParser, arms: Sequence[Mapping[str, Any]]) -> list[Point]:
    every: list[Point] = []
    for arm in arms:
        axes = {o.get_key_element(): _values(o) for o in parser.parse_overrides(_lines(arm))}
        every += [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    return _unique(every)


def _without(arms: Sequence[Point], key: str) -> list[Point]:
    return _unique([{k: v for k, v in arm.items() if k != key} for arm in arms])


def _unique(arms: Sequence[Point] | Iterator[Point]) -> list[Point]:
    return [dict(items) for items in dict.fromkeys(tuple(arm.items()) for arm in arms)]
