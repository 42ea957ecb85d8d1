"""The settings of an attached rule in the param groups of an optimizer."""

import weakref
from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gofau.optim.checks import check_group, one_of, plain
from gofau.optim.group_keys import check_changes, parts_of
from gofau.optim.hyperparameters import check_own
from gofau.optim.optimizer import RuleOptimizer
from gofau.optim.rules import RULES, Scalar
from gofau.optim.stepsize import STEPSIZES, get_stepsize
from gofau.optim.update import all_zero

PREFIX = "gofau_"
"""Prefix of the rule's settings in the groups of another optimizer, which may have their own
``gamma``. Each setting is a flat key, not an entry of one dict: so ``optimizer.defaults`` fills
groups that are added later, and what can change ``group["lr"]`` can change
``group["gofau_eta_out"]``."""
ZERO_START = PREFIX + "zero_start"

OWN = ("rule", "stepsize", "zero_init", "zero_start", "decoupled_weight_decay")
Group = dict[str, Any]
ALWAYS_DECOUPLED: tuple[type, ...] = tuple(
    getattr(torch.optim, name)
    for name in ("AdamW", "Adafactor", "Muon")
    if hasattr(torch.optim, name)  # Muon is there from torch 2.9 on
)
"""torch's optimizers whose weight decay is always decoupled."""


def settings(group: Group) -> Group:
    """The settings of the rule in a group, without the prefix.

    >>> settings({"lr": 0.1, "gofau_gamma": 0.5})
    {'gamma': 0.5}
    """
    start = len(PREFIX)
    return {name[start:]: value for name, value in group.items() if name.startswith(PREFIX)}


def check(group: Group) -> None:
    """Raise a ValueError for the first setting of a group that is not allowed."""
    own = settings(group)
    parts = (*RULES.values(), *STEPSIZES.values())
    known = [*OWN, *(name for part in parts for name in part.own)]
    for name in own:
        one_of(f"a group's {PREFIX}… key", name, known)
    decoupled = own["decoupled_weight_decay"]
    if decoupled is not None and not isinstance(decoupled, bool):
        raise ValueError(f"decoupled_weight_decay must be true, false or None, got {decoupled!r}")
    if decoupled and not (_is_number(group.get("lr")) and _is_number(group.get("weight_decay"))):
        raise ValueError("decoupled_weight_decay needs the numbers lr and weight_decay in a group")
    check_group(own)
    for part in parts_of(own):
        check_own(part, own, PREFIX)
    stepsize = get_stepsize(own["stepsize"])
    if not stepsize.is_attachable:
        raise ValueError(
            f"{stepsize.title} needs more than the step that was taken (a state, the loss or"
            " curvature): use one of gofau's optimizers"
        )
    if moves(own) and any(torch.is_complex(p) for p in group["params"]):
        raise ValueError("complex parameters have no |θ|·tanh(d): give them the additive rule")


_checked: "weakref.WeakKeyDictionary[Optimizer, dict[int, Group]]" = weakref.WeakKeyDictionary()


def check_changed(optimizer: Optimizer) -> None:
    """Check the settings that were changed since the last step; StepRefused if one is not
    allowed."""
    check_changes(_checked.setdefault(optimizer, {}), optimizer.param_groups, check, PREFIX)


def current(optimizer: Optimizer, group: Group) -> Group:
    """The present settings, as a step computes with them: numbers or 0-d tensors, with η as ``lr``,
    and with λ as ``weight_decay`` if the weight decay is decoupled."""
    own = plain({name: x for name, x in settings(group).items() if name != "zero_start"})
    for part in parts_of(own):  # the user may have changed the rule or the step size
        if not own.keys() >= part.own.keys():
            check_own(part, own, PREFIX)
    own["lr"] = rate(group.get("lr"))
    if own["decoupled_weight_decay"] is None:
        own["decoupled_weight_decay"] = _is_decoupled(optimizer, group)
    if own["decoupled_weight_decay"]:
        lr, decay = group["lr"], group["weight_decay"]
        # If lr is 0, η is 1 (see `rate`), but the optimizer has not decayed the weights.
        moves = (lr.detach().reshape(()) != 0).to(lr.dtype) if isinstance(lr, Tensor) else lr != 0
        own |= plain({"weight_decay": decay * moves})
    return own


def moves(own: Group) -> bool:
    """Whether the settings change a step. The additive rule with the base's own step size does
    not."""
    return own["rule"] != "additive" or own["stepsize"] != "base"


def rate(lr: Any) -> Scalar:
    """η of a group: its ``lr``, but 1 if that is 0 or not a number; d is then the optimizer's whole
    step.

    >>> rate(0.1), rate(0), rate(None), rate(torch.tensor([0.5]))
    (0.1, 1.0, 1.0, tensor(0.5000))
    """
    if isinstance(lr, Tensor) and _is_number(lr):
        lr = lr.detach().reshape(())
        return torch.where(lr == 0, torch.ones_like(lr), lr)
    return float(lr) if _is_number(lr) and lr != 0 else 1.0


def _is_number(x: Any) -> bool:
    return x.numel() == 1 and not x.is_complex() if isinstance(x, Tensor) else isinstance(x, Real)


def _is_decoupled(optimizer: Optimizer, group: Group) -> bool:
    """Whether this is one of torch's or gofau's optimizers that first multiply θ by (1 − lr·λ)."""
    if isinstance(optimizer, ALWAYS_DECOUPLED):
        return True
    flagged = (torch.optim.Adam, torch.optim.NAdam, torch.optim.RAdam, RuleOptimizer)
    return isinstance(optimizer, flagged) and bool(group.get("decoupled_weight_decay"))


def refuse_own_rule(optimizer: Optimizer) -> None:
    """Raise a ValueError if one of gofau's optimizers has its own rule or a post step: both rules
    would be applied, the attached one to the post step, too."""
    name = type(optimizer).__name__
    if isinstance(optimizer, RuleOptimizer):
        own = sorted({str(group["rule"]) for group in optimizer.param_groups} - {"additive"})
        if own:
            raise ValueError(f"{name} has a rule of its own, '{own[0]}': it cannot have two")
        after = sorted({str(group["post_step"]) for group in optimizer.param_groups} - {"none"})
        if after:
            raise ValueError(
                f"{name} has the post step '{after[0]}', which would no longer be the last step:"
                " give the rule to the optimizer itself, as its rule="
            )


def keep_settings(optimizer: Optimizer, state_dict: dict[str, Any]) -> dict[str, Any] | None:
    """Load hook: a state_dict from before the attachment lacks the rule's settings; keep ours."""
    groups = state_dict["param_groups"]
    if len(groups) != len(optimizer.param_groups):
        return None  # torch raises the error
    filled = []
    for theirs, ours in zip(groups, optimizer.param_groups, strict=True):
        kept = {k: v for k, v in ours.items() if k.startswith(PREFIX) and k != ZERO_START}
        filled.append(kept | theirs)
    return {**state_dict, "param_groups": filled}


class ZeroStarts:
    """Stores which parameters were all zero when a rule that cannot move zeros first stepped them.

    Stored by parameter, so that parameters may be removed, added, reordered and moved to another
    group. Each group also has a list in the order of its parameters, which is saved with the
    ``state_dict``. A list that was not written here has been loaded, and replaces what is stored.
    """

    def __init__(self) -> None:
        self._known: dict[Tensor, bool] = {}  # kept for removed parameters, like torch's state
        self._written: dict[int, list[bool | None]] = {}

    def wrote(self, group: Group) -> bool:
        """Whether the group's list was written here."""
        flags = group.get(ZERO_START)
        return flags is not None and flags is self._written.get(id(group))

    def read(self, group: Group) -> None:
        """Read the list of a new or loaded group."""
        flags = group.get(ZERO_START)
        for p, flag in zip(group["params"], flags or (), strict=False):
            if flag is not None:
                self._known[p] = bool(flag)

    def write(self, group: Group) -> None:
        """Write the present list to the group. If it has changed, it is a new list object, because
        an earlier ``state_dict`` still holds the old one."""
        flags = [self._known.get(p) for p in group["params"]]
        if flags != group.get(ZERO_START):
            group[ZERO_START] = flags
        self._written[id(group)] = group[ZERO_START]

    def forget(self) -> None:
        """Forget everything; each parameter is checked again, unless its group's list covers it."""
        self._known.clear()
        self._written.clear()

    def known(self, p: Tensor) -> bool:
        """Whether p is known to have been all zero."""
        return self._known.get(p, False)

    def judge(self, p: Tensor, theta: Tensor) -> bool:
        """Whether p was all zero at its first step; θ are its weights, if this is the first."""
        if p not in self._known:
            self._known[p] = all_zero(theta)
        return self._known[p]
