"""The settings of a rule in the param groups of an optimizer that is not gofau's."""

from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gofau.optim.checks import check_group, one_of, plain
from gofau.optim.hyperparameters import check_own
from gofau.optim.optimizer import RuleOptimizer, parts_of
from gofau.optim.rules import RULES, Scalar
from gofau.optim.stepsize import STEPSIZES, get_stepsize
from gofau.optim.update import all_zero

PREFIX = "gofau_"
"""Before each of the rule's names in a foreign optimizer's groups, which may have a ``gamma`` of
their own. One flat key each, not a dict: then ``optimizer.defaults`` fills the groups that are
added later, and whatever drives ``group["lr"]`` can drive ``group["gofau_eta_out"]``."""
ZERO_START = PREFIX + "zero_start"

OWN = ("rule", "stepsize", "zero_init", "zero_start", "decoupled_weight_decay")
Group = dict[str, Any]


def settings(group: Group) -> Group:
    """What a group says of the rule, in the rule's own names.

    >>> settings({"lr": 0.1, "gofau_gamma": 0.5})
    {'gamma': 0.5}
    """
    start = len(PREFIX)
    return {name[start:]: value for name, value in group.items() if name.startswith(PREFIX)}


def check(group: Group) -> None:
    """A ValueError in one sentence for the first thing that is off in a group's settings."""
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


def today(optimizer: Optimizer, group: Group) -> Group:
    """What a step computes with: the settings as numbers or 0-d tensors, η as ``lr``, and λ as
    ``weight_decay`` where the decay is decoupled."""
    own = plain({name: x for name, x in settings(group).items() if name != "zero_start"})
    for part in parts_of(own):  # somebody may have changed the rule or the step size
        if not own.keys() >= part.own.keys():
            check_own(part, own, PREFIX)
    own["lr"] = rate(group.get("lr"))
    if own["decoupled_weight_decay"] is None:
        own["decoupled_weight_decay"] = _is_decoupled(optimizer, group)
    if own["decoupled_weight_decay"]:
        lr, decay = group["lr"], group["weight_decay"]
        # Where lr is 0, and η therefore 1, the optimizer has not decayed anything.
        moves = (lr.detach().reshape(()) != 0).to(lr.dtype) if isinstance(lr, Tensor) else lr != 0
        own |= plain({"weight_decay": decay * moves})
    return own


def moves(own: Group) -> bool:
    """Whether the settings change a step at all: the additive rule with the base's step size does
    not."""
    return own["rule"] != "additive" or own["stepsize"] != "base"


def rate(lr: Any) -> Scalar:
    """η of a group, whose optimizer proposes η·d: its ``lr``, but 1 where that is 0 or no number,
    so that d is then the proposal itself.

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
    """Whether torch's own optimizers, or gofau's, multiply θ by (1 − lr·λ) first. AdamW is a
    flagged Adam."""
    if isinstance(optimizer, (torch.optim.Muon, torch.optim.Adafactor)):
        return True
    flagged = (torch.optim.Adam, torch.optim.NAdam, torch.optim.RAdam, RuleOptimizer)
    return isinstance(optimizer, flagged) and bool(group.get("decoupled_weight_decay"))


def refuse_own_rule(optimizer: Optimizer) -> None:
    """A ValueError where one of gofau's optimizers has a rule of its own: two would be applied."""
    if isinstance(optimizer, RuleOptimizer):
        own = sorted({str(group["rule"]) for group in optimizer.param_groups} - {"additive"})
        if own:
            name = type(optimizer).__name__
            raise ValueError(f"{name} has a rule of its own, '{own[0]}': it cannot have two")


def keep_settings(optimizer: Optimizer, state_dict: dict[str, Any]) -> dict[str, Any] | None:
    """A state_dict from before the attachment says nothing of the rule: then it stays as it is."""
    groups = state_dict["param_groups"]
    if len(groups) != len(optimizer.param_groups):
        return None  # torch's own error says it
    filled = []
    for theirs, ours in zip(groups, optimizer.param_groups, strict=True):
        kept = {k: v for k, v in ours.items() if k.startswith(PREFIX) and k != ZERO_START}
        filled.append(kept | theirs)
    return {**state_dict, "param_groups": filled}


class ZeroStarts:
    """Which parameters were all zero when a rule that cannot move zeros first came to them.

    Known by parameter, so that groups may lose, gain, exchange and reorder theirs. Each group also
    has them as a list in the order of its parameters, for that travels in the ``state_dict``. A
    list that was not written here has been loaded, and is believed.
    """

    def __init__(self) -> None:
        self._known: dict[Tensor, bool] = {}  # like torch's state, it outlasts a removal
        self._written: dict[int, list[bool | None]] = {}

    def wrote(self, group: Group) -> bool:
        """Whether the group's list was written here."""
        flags = group.get(ZERO_START)
        return flags is not None and flags is self._written.get(id(group))

    def read(self, group: Group) -> None:
        """Take over the list of a group that is new, or was loaded."""
        flags = group.get(ZERO_START)
        for p, flag in zip(group["params"], flags or (), strict=False):
            if flag is not None:
                self._known[p] = bool(flag)

    def write(self, group: Group) -> None:
        """Put today's list into the group: a new one where it differs, for a ``state_dict`` that
        somebody keeps holds the old one."""
        flags = [self._known.get(p) for p in group["params"]]
        if flags != group.get(ZERO_START):
            group[ZERO_START] = flags
        self._written[id(group)] = group[ZERO_START]

    def forget(self) -> None:
        """After this every parameter is judged anew, unless its group's list says what it was."""
        self._known.clear()
        self._written.clear()

    def known(self, p: Tensor) -> bool:
        """Whether p is known to have been all zero."""
        return self._known.get(p, False)

    def judge(self, p: Tensor, theta: Tensor) -> bool:
        """Whether p was all zero at its first step; now, with the weights θ, if this is that."""
        if p not in self._known:
            self._known[p] = all_zero(theta)
        return self._known[p]
