"""The keys of a param group: which rule, step size and post step they name, and what a constructor
puts in."""

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from gofau.optim.checks import RANGES, StepRefused, check_number
from gofau.optim.directions import Group
from gofau.optim.hyperparameters import SHARED, Part
from gofau.optim.post_steps import NOTHING, get_post_step
from gofau.optim.rules import get_rule
from gofau.optim.stepsize import BASE, get_stepsize


def parts_of(group: Group) -> tuple[Part, ...]:
    """The rule of a group, its step size if that is not the base's own, and its post step if there
    is one; ValueError with the nearest match if a name is unknown."""
    rule, stepsize = get_rule(group["rule"]), get_stepsize(group["stepsize"])
    post_step = get_post_step(group.get("post_step", "none"))
    parts: list[Part] = [rule]
    parts += [stepsize] * (stepsize is not BASE) + [post_step] * (post_step is not NOTHING)
    return tuple(parts)


def arguments(local: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters in a constructor's ``locals()``: the entries that go into
    param_groups."""
    left_out = ("self", "__class__", "params", "rule_options")
    return {name: value for name, value in local.items() if name not in left_out}


def fixed(rule: str, stepsize: str = "base") -> dict[str, Any]:
    """What the groups of an optimizer with a rule of its own (`RuleOptimizer.own_rule`) say in
    place of what its constructor does not ask for."""
    shared = {h.name: h.default for h in SHARED.values()}
    return {"rule": rule, "stepsize": stepsize, "weight_decay": 0, **shared}


def filled(theirs: Group, ours: Group) -> Group:
    """A loaded group, with its missing keys taken from the present one."""
    return {k: v for k, v in ours.items() if k not in ("params", "param_names")} | theirs


def refuse_misspelt(unknown: Iterable[str]) -> None:
    """Raise a ValueError if one of these unknown keys looks like a misspelt key of ours."""
    ours = ["rule", "stepsize", "post_step", "zero_init", *SHARED]
    for name in unknown:
        close = difflib.get_close_matches(str(name), ours, n=1, cutoff=0.85)
        if close:
            raise ValueError(f"a param group has no key '{name}'. Did you mean '{close[0]}'?")


ALONE = {"lr", "weight_decay", "eps", *SHARED}
"""Numbers whose range depends on nothing else in the group: a schedule changes one of them per
step, which need not cost a check of all."""


def check_changes(
    known: dict[int, Group],
    groups: Iterable[Group],
    check: Callable[[Group], None],
    prefix: str = "",
) -> None:
    """Check what was changed in param groups since the last call, by the user, a scheduler or a
    loaded state. Tensors that are changed in place are not read: that would wait for the device.

    Args:
        known: the groups as they were checked last, by number; updated.
        groups: the groups now.
        check: checks a whole group; raises a ValueError.
        prefix: of the keys that are ours.

    Raises:
        StepRefused: a value is not allowed.
    """
    for i, group in enumerate(groups):
        before = known.get(i)
        # Lists of the same objects are compared in a fraction of a microsecond.
        if before is not None and [*group.values()] == [*before.values()]:
            continue
        ours = {k: v for k, v in group.items() if k.startswith(prefix)}
        changed = {k for k, v in ours.items() if before is None or before.get(k) is not v}
        try:
            if before is None or not changed <= ALONE:
                check(group)
            for name in changed & ALONE:
                own = SHARED.get(name)
                if own is not None:
                    own.check(group[name])
                else:
                    check_number(name, group[name], RANGES[name])
        except ValueError as e:
            raise StepRefused(f"param_groups[{i}]: {e}") from e
        known[i] = dict(group)
