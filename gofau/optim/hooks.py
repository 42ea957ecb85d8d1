"""An optimizer's own step, pushed through an update rule: what `gofau.optim.attach` hooks in."""

import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from gofau.optim.prefix import PREFIX, check, settings
from gofau.optim.push import push
from gofau.optim.rules import Rule
from gofau.optim.update import Item, all_zero, rule_of

Group = dict[str, Any]


class Watcher(Protocol):
    """Who looks at one step (see `gofau.optim.diagnostics`)."""

    def see(self, p: Tensor, u: Tensor, rule: Rule, settings: Group) -> None:
        """The rule is about to be applied to ``p`` with the proposal ``u``."""

    def end(self) -> None:
        """All parameters have been stepped."""


_handles: "weakref.WeakKeyDictionary[Optimizer, Attached]" = weakref.WeakKeyDictionary()


def attached(optimizer: Optimizer) -> "Attached | None":
    """The handle of the rule that is attached to ``optimizer``, or None."""
    return _handles.get(optimizer)


@dataclass
class _Entry:
    """A parameter that is being stepped: its group, that group's settings, its place in there, and
    whether its gradient is still to come."""

    p: Tensor
    group: Group
    own: Group
    index: int
    late: bool


class Attached:
    """The handle that `attach` returns: `remove` takes the rule off again. Also a context manager.

    Between steps it holds one copy of the parameters that have been stepped, less those that the
    additive rule leaves alone; the buffers are used again at the next step.
    """

    def __init__(self, optimizer: Optimizer, defaults: Group) -> None:
        ours = {PREFIX + name: value for name, value in defaults.items()}
        for group in optimizer.param_groups:
            check(ours | group)
        for holder in (optimizer.defaults, *optimizer.param_groups):
            for name, value in ours.items():
                holder.setdefault(name, value)
        self.watcher: Watcher | None = None
        """Who is told of the next step, and of that one alone."""
        self._buffers: dict[Tensor, Tensor] = {}
        self._entries: list[_Entry] = []
        self._step: FrameType | None = None
        self._optimizer = weakref.ref(optimizer)
        # In a compiled train step the two run as they are: they are full of lookups that would be
        # compiled again for each tensor. torch.optim has loaded the compiler by now: no cost.
        eagerly: Any = torch.compiler.disable
        self._keep: Callable[[Optimizer, bool], None] = eagerly(self._keep_all)
        self._apply: Callable[[Optimizer], None] = eagerly(self._apply_all)
        self._hooks = [
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
            optimizer.register_load_state_dict_pre_hook(_keep_settings),
        ]
        _handles[optimizer] = self

    def remove(self) -> None:
        """Undo `attach`: the hooks, the keys in the groups and the memory go. May be repeated."""
        for hook in self._hooks:
            hook.remove()
        self._buffers.clear()
        self._entries.clear()
        optimizer = self._optimizer()
        if optimizer is None or _handles.get(optimizer) is not self:
            return
        del _handles[optimizer]
        for holder in (optimizer.defaults, *optimizer.param_groups):
            for name in [name for name in holder if name.startswith(PREFIX)]:
                del holder[name]

    def __enter__(self) -> "Attached":
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _before(self, optimizer: Optimizer, args: Any, kwargs: dict[str, Any]) -> None:
        # A subclass whose step calls its parent's fires the hooks twice, one pair inside the other.
        # The outermost counts; an earlier one that ended in an exception does not. (In a compiled
        # train step there are no frames to tell them by.)
        if torch.compiler.is_compiling():
            self._step = None
        elif self._step is not None and _is_running(self._step):
            return
        else:
            self._step = sys._getframe(1)
        # A closure makes the gradients later, inside the step.
        late = any(callable(a) for a in args[1:]) or callable(kwargs.get("closure"))
        self._keep(optimizer, late)

    def _after(self, optimizer: Optimizer, args: Any, kwargs: dict[str, Any]) -> None:
        compiling = torch.compiler.is_compiling()
        if compiling or self._step is None or self._step is sys._getframe(1):
            self._step = None
            self._apply(optimizer)

    @torch.no_grad()
    def _keep_all(self, optimizer: Optimizer, late: bool) -> None:
        self._entries = []
        for group in optimizer.param_groups:
            own = _prepare(group)
            for i, p in enumerate(group["params"]):
                moves = p.requires_grad if late else p.grad is not None
                if moves and _rule_of(own, i).name != "additive":
                    self._entries.append(_Entry(p, group, own, i, late))
        for e in self._entries:
            self._buffer(e.p).copy_(e.p)

    def _buffer(self, p: Tensor) -> Tensor:
        known = self._buffers.get(p)
        if known is None or not _alike(known, p):  # a model may be moved or cast between steps
            known = self._buffers[p] = torch.empty_like(p, requires_grad=False)
        return known

    @torch.no_grad()
    def _apply_all(self, optimizer: Optimizer) -> None:
        proposed: dict[int, tuple[Group, list[Item]]] = {}
        for e in self._entries:
            if e.late and e.p.grad is None:
                continue
            theta, flags = self._buffers[e.p], e.own["zero_start"]
            if flags[e.index] is None:
                flags[e.index] = all_zero(theta)
            rule = _rule_of(e.own, e.index)
            if rule.name == "additive":
                del self._buffers[e.p]  # it will not be needed again
                continue
            _decay(optimizer, e, theta)
            if self.watcher is not None:
                self.watcher.see(e.p, theta - e.p, rule, e.own)
            proposed.setdefault(id(e.group), (e.own, []))[1].append(Item(e.p, theta, {}, rule))
        for own, items in proposed.values():
            push(items, own)
        self._entries = []
        watcher, self.watcher = self.watcher, None
        if watcher is not None:
            watcher.end()


def _alike(a: Tensor, b: Tensor) -> bool:
    same = a.shape == b.shape and a.dtype == b.dtype and a.device == b.device
    return same and a.stride() == b.stride()


def _prepare(group: Group) -> Group:
    """The group's settings; checks those of a group that is new."""
    flags = group.get(PREFIX + "zero_start")
    if flags is None:
        check(group)
        flags = group[PREFIX + "zero_start"] = []
    flags.extend([None] * (len(group["params"]) - len(flags)))
    return settings(group)


def _rule_of(own: Group, index: int) -> Rule:
    """The group's rule, unless the parameter started at zero and is to be spared it."""
    return rule_of({"zero_start": own["zero_start"][index]}, own)


def _decay(optimizer: Optimizer, e: _Entry, theta: Tensor) -> None:
    """θ ← θ·(1 − lr·λ) where the optimizer has done the same before its step."""
    decoupled = e.own["decoupled_weight_decay"]
    if decoupled is None:
        decoupled = _is_decoupled(optimizer, e.group)
    if not decoupled or e.group["weight_decay"] == 0:
        return
    theta.mul_(1 - e.group["lr"] * e.group["weight_decay"])
    found_inf = getattr(optimizer, "found_inf", None)
    if found_inf is not None:  # a fused kernel under a GradScaler skipped step and decay alike
        torch.where(found_inf > 0, e.p, theta, out=theta)


def _is_decoupled(optimizer: Optimizer, group: Group) -> bool:
    """Whether torch's own optimizers multiply θ by (1 − lr·λ) first. AdamW is a flagged Adam."""
    if isinstance(optimizer, (torch.optim.Muon, torch.optim.Adafactor)):
        return True
    flagged = isinstance(optimizer, (torch.optim.Adam, torch.optim.NAdam, torch.optim.RAdam))
    return flagged and bool(group.get("decoupled_weight_decay"))


def _keep_settings(optimizer: Optimizer, state_dict: dict[str, Any]) -> dict[str, Any] | None:
    """A state_dict from before the attachment says nothing of the rule: then it stays as it is."""
    groups = state_dict["param_groups"]
    if len(groups) != len(optimizer.param_groups):
        return None  # torch's own error says it
    filled = []
    for theirs, ours in zip(groups, optimizer.param_groups, strict=True):
        kept = {k: v for k, v in ours.items() if k.startswith(PREFIX)}
        kept.pop(PREFIX + "zero_start", None)
        filled.append(kept | theirs)
    return {**state_dict, "param_groups": filled}


def _is_running(frame: FrameType) -> bool:
    here: FrameType | None = sys._getframe(1)
    while here is not None and here is not frame:
        here = here.f_back
    return here is frame
