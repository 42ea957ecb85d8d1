"""The settings of a rule in the param groups of an optimizer that is not gofau's."""

from typing import Any

import torch

from gofau.optim.checks import check_group, one_of
from gofau.optim.rules import RULES, get_rule

PREFIX = "gofau_"
"""Before each of the rule's names in a foreign optimizer's groups, whose ``alpha`` may be RMSprop's
smoothing constant. One flat key each, not a dict: then ``optimizer.defaults`` fills the groups
that are added later, and whatever drives ``group["lr"]`` can drive ``group["gofau_eta_out"]``."""

OWN = ("rule", "zero_init", "zero_start", "decoupled_weight_decay")
Group = dict[str, Any]


def settings(group: Group) -> Group:
    """What a group says of the rule, in the rule's own names.

    >>> settings({"lr": 0.1, "alpha": 0.99, "gofau_alpha": 0.5})
    {'alpha': 0.5}
    """
    start = len(PREFIX)
    return {name[start:]: value for name, value in group.items() if name.startswith(PREFIX)}


def check(group: Group) -> None:
    """A ValueError in one sentence for the first thing that is off in a group's settings."""
    own = settings(group)
    known = [*OWN, *(name for rule in RULES.values() for name in rule.hyperparameters)]
    for name in own:
        one_of(f"a group's {PREFIX}… key", name, known)
    check_group(own)
    if own["decoupled_weight_decay"] not in (None, True, False):
        given = own["decoupled_weight_decay"]
        raise ValueError(f"decoupled_weight_decay must be true, false or None, got {given!r}")
    rule = get_rule(own["rule"])
    for name in rule.hyperparameters:
        if name not in own:
            raise ValueError(f"rule '{rule.name}' needs the hyperparameter '{PREFIX}{name}'")
    if rule.name != "additive" and any(torch.is_complex(p) for p in group["params"]):
        raise ValueError("complex parameters have no |θ|·tanh(u): give them the additive rule")
