"""Expands a sweep to its runs: a product of axes, or several products, one per arm.

Hydra's sweeps are one product, which cannot say "these bases with each rule, and each rival once".
An experiment can name arms, each with axes of its own:

    params: {problem: "digits_cnn,fashion_mlp", seed: "0,1,2"}
    arms:
      bases: {optimizer: "sgd,adam", rule: "additive,hybrid"}
      lamb: {optimizer: adamw, stepsize: trust_ratio, rule: additive}

The runs are those of ``params`` times the runs of all arms together: 2 · 3 · (2 · 2 + 1) = 30. Arms
vary fastest, so that each problem is complete before the next one begins.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from gofau.errors import UserError, nearest

Axes = dict[str, list[str]]
"""Key → the overrides that give its values, such as ``optimizer`` → ``["optimizer=sgd", …]``."""


def expand(
    parser: OverridesParser, params: Mapping[str, Any], arms: Any, typed: Sequence[Override]
) -> list[list[str]]:
    """The overrides of each run.

    A key that is typed on the command line replaces the same key of ``params``. If arms have the
    key, it selects instead: each typed value goes to the arms that have it, and a value that no arm
    has goes to the arms that vary the key. Arms without a value are left out.

    Args:
        parser: reads overrides.
        params: the axes that all arms share, as in ``hydra.sweeper.params``.
        arms: name → the axes of this arm, as in ``hydra.sweeper.arms``; None instead of axes leaves
            the arm out. An axis of an arm replaces one of ``params``.
        typed: what is typed on the command line.

    Raises:
        UserError: ``arms`` is not such a mapping, or no arm takes a value that was typed.
    """
    given = [_axes(_read(parser, axes)) for axes in _checked(arms) if axes is not None]
    theirs = {key for axes in given for key in axes}
    words, chosen = _axes(typed), given
    for key in [key for key in words if key in theirs]:
        known = [word for axes in given for word in axes.get(key, [])]
        chosen = _select(parser, chosen, key, words[key], known)
    shared = _axes(_read(parser, params)) | {k: v for k, v in words.items() if k not in theirs}
    runs = [
        outer | inner
        for outer in _product(shared)
        for axes in chosen or [{}]
        for inner in _product(axes)
    ]
    # As keys of a dict, because the values of two arms may overlap.
    return [list(run) for run in dict.fromkeys(tuple(run.values()) for run in runs)]


def _product(axes: Axes) -> list[dict[str, str]]:
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def _read(parser: OverridesParser, axes: Mapping[str, Any]) -> list[Override]:
    return parser.parse_overrides([f"{key}={value}" for key, value in axes.items()])


def _axes(overrides: Sequence[Override]) -> Axes:
    found: Axes = {}
    for override in overrides:
        key = override.get_key_element()
        if override.is_sweep_override():
            found[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            found[key] = [override.input_line or ""]
    return found


def _select(
    parser: OverridesParser, arms: list[Axes], key: str, words: list[str], every: list[str]
) -> list[Axes]:
    """The arms that take a typed value of one key, with the values that they take. ``every`` holds
    the values of the key in all arms of the sweep."""

    def value(word: str) -> Any:  # 0.1 and 1e-1 are the same
        return parser.parse_override(word).value()

    known, found = [value(word) for word in every], []
    for arm in arms:
        here = [value(word) for word in arm.get(key, [])]
        varies = len(here) > 1
        mine = [w for w in words if value(w) in here or (varies and value(w) not in known)]
        if mine:
            found.append(arm | {key: mine})
    if not found:
        texts = list(dict.fromkeys(map(str, known)))
        asked = str(value(words[0]))
        raise UserError(
            f"{key}={asked}, with what else is typed, selects no arm of this sweep; {key} in its"
            f" arms: {', '.join(texts)}.{nearest(asked, texts)}"
        )
    return found


def _checked(arms: Any) -> list[Mapping[str, Any] | None]:
    whole = isinstance(arms, Mapping) and all(
        axes is None or isinstance(axes, Mapping) for axes in arms.values()
    )
    if arms is not None and not whole:
        raise UserError(
            "hydra.sweeper.arms must name arms, each with its axes, such as {lamb: {optimizer:"
            f" adamw, stepsize: trust_ratio}}}}, got {arms}"
        )
    return [*arms.values()] if arms else []
