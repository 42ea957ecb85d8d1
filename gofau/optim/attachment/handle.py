"""The hooks that `gofau.optim.attach` puts on an optimizer: they apply the rule to its step."""

import sys
import weakref
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from gofau.optim.attachment import settings as own_settings
from gofau.optim.attachment.settings import PREFIX, ZeroStarts
from gofau.optim.attachment.step import copied, push
from gofau.optim.rules import RULES, Rule, get_rule
from gofau.optim.update import Item, spares_zeros

Group = dict[str, Any]


class Watcher(Protocol):
    """Interface of an observer of one step (see `gofau.optim.diagnostics`)."""

    def see(self, p: Tensor, d: Tensor, rule: Rule, settings: Group) -> None:
        """Called before the rule is applied to ``p`` with the direction ``d``."""

    def end(self) -> None:
        """Called when all parameters have been stepped."""


_handles: "weakref.WeakKeyDictionary[Optimizer, Attached]" = weakref.WeakKeyDictionary()


def attached(optimizer: Optimizer) -> "Attached | None":
    """The handle of the rule that is attached to ``optimizer``, or None."""
    return _handles.get(optimizer)


@dataclass
class _Entry:
    """A parameter in the present step: its group's settings and rule, whether tensors that started
    at zero are spared (`spares_zeros`), and whether a closure will still compute the gradient."""

    p: Tensor
    own: Group
    rule: Rule
    spares: bool
    late: bool


class Attached:
    """The handle that `attach` returns: `remove` undoes `attach`. Also a context manager.

    Between steps it holds one copy of the parameters that have been stepped, without those that the
    additive rule leaves unchanged; the next step uses the same buffers.
    """

    def __init__(self, optimizer: Optimizer, defaults: Group) -> None:
        ours = {PREFIX + name: value for name, value in defaults.items()}
        for group in optimizer.param_groups:
            own_settings.check(ours | group)
        self.watcher: Watcher | None = None
        """Observer of the next step only."""
        self._buffers: dict[Tensor, Tensor] = {}
        self._entries: list[_Entry] = []
        self._starts = ZeroStarts()
        self._step: FrameType | None = None
        self._optimizer = weakref.ref(optimizer)
        # In a compiled train step these two are not compiled: their lookups would be compiled again
        # for each tensor. torch.optim has already loaded the compiler, so the call costs nothing.
        eagerly: Any = torch.compiler.disable
        self._keep: Callable[[Optimizer, bool], None] = eagerly(self._keep_all)
        self._apply: Callable[[Optimizer], None] = eagerly(self._apply_all)
        self._hooks: list[Any] = []
        with ExitStack() as undo:  # an error removes everything that was added
            undo.callback(self._unhook)
            for holder in (optimizer.defaults, *optimizer.param_groups):
                for name in ours.keys() - holder.keys():
                    holder[name] = ours[name]
                    undo.callback(holder.pop, name, None)
            self._hooks.append(optimizer.register_step_pre_hook(self._before))
            self._hooks.append(optimizer.register_step_post_hook(self._after))
            self._hooks.append(optimizer.register_state_dict_pre_hook(self._saving))
            self._hooks.append(
                optimizer.register_load_state_dict_pre_hook(own_settings.keep_settings)
            )
            self._hooks.append(optimizer.register_load_state_dict_post_hook(self._loaded))
            _step_hooks(optimizer)[1].move_to_end(self._hooks[1].id, last=False)
            _handles[optimizer] = self
            undo.pop_all()

    def remove(self) -> None:
        """Undo `attach`: remove the hooks, the keys in the groups and the copies. Repeatable."""
        self._unhook()
        self._buffers.clear()
        self._entries.clear()
        self._starts.forget()
        optimizer = self._optimizer()
        if optimizer is None or _handles.get(optimizer) is not self:
            return
        del _handles[optimizer]
        for holder in (optimizer.defaults, *optimizer.param_groups):
            for name in [name for name in holder if name.startswith(PREFIX)]:
                del holder[name]

    def _unhook(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def __enter__(self) -> "Attached":
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _before(self, optimizer: Optimizer, args: Any, kwargs: dict[str, Any]) -> None:
        # If a subclass's step calls its parent's, the hooks run twice, one pair inside the other.
        # Only the outer pair counts; it is found by its frame. If that is not running any more, the
        # step has raised. (A compiled train step has no frames.)
        if torch.compiler.is_compiling():
            self._step = None
        elif self._step is not None and _is_running(self._step):
            return
        else:
            self._step = sys._getframe(1)
            if self._waits(optimizer):
                return
        self._keep(optimizer, _has_closure(args, kwargs))

    def _waits(self, optimizer: Optimizer) -> bool:
        """If pre-hooks were registered since the last step, copy the weights after the last of
        them, as they may change weights; returns whether there are any. The order of the hooks is
        restored after the step, because torch is iterating over them now."""
        hooks = _step_hooks(optimizer)[0]
        key = next(reversed(hooks))
        if key == self._hooks[0].id:
            return False
        hook = hooks[key]

        def then(optimizer: Optimizer, args: Any, kwargs: dict[str, Any]) -> Any:
            hooks[key] = hook
            changed = hook(optimizer, args, kwargs)
            self._keep(optimizer, _has_closure(*(changed or (args, kwargs))))
            return changed

        hooks[key] = then
        return True

    def _after(self, optimizer: Optimizer, args: Any, kwargs: dict[str, Any]) -> None:
        compiling = torch.compiler.is_compiling()
        if compiling or self._step is None or self._step is sys._getframe(1):
            self._step = None
            self._apply(optimizer)

    @torch.no_grad()
    def _keep_all(self, optimizer: Optimizer, late: bool) -> None:
        own_settings.refuse_own_rule(optimizer)
        self._take_over(optimizer)
        self._entries = []
        for group in optimizer.param_groups:
            own = own_settings.current(optimizer, group)
            rule, spares = get_rule(own["rule"]), spares_zeros(own)
            sized = own["stepsize"] != "base"
            for p in group["params"] if own_settings.moves(own) else ():
                moves = p.requires_grad if late else p.grad is not None
                if moves and (sized or not (spares and self._starts.known(p))):
                    self._entries.append(_Entry(p, own, rule, spares, late))
        present = {p for group in optimizer.param_groups for p in group["params"]}
        self._buffers = {p: x for p, x in self._buffers.items() if p in present}
        for e in self._entries:
            self._buffers[e.p] = copied(e.p, self._buffers.get(e.p))

    def _take_over(self, optimizer: Optimizer) -> None:
        """Fill in the missing settings of new and loaded groups, and check what was changed."""
        for group in (g for g in optimizer.param_groups if not self._starts.wrote(g)):
            self._starts.read(group)
            for name, value in optimizer.defaults.items():
                if name.startswith(PREFIX):  # missing if a wrapper that shares the groups added it
                    group.setdefault(name, value)
            self._starts.write(group)
        own_settings.check_changed(optimizer)

    @torch.no_grad()
    def _apply_all(self, optimizer: Optimizer) -> None:
        proposed: dict[int, list[_Entry]] = {}
        for e in self._entries:
            theta = self._buffers[e.p]
            if e.late and e.p.grad is None and torch.equal(theta, e.p):
                continue  # not stepped; or its gradient was cleared again
            if e.spares and self._starts.judge(e.p, theta):
                e.rule = RULES["additive"]
                if e.own["stepsize"] == "base":
                    del self._buffers[e.p]  # the optimizer's own step stays from now on
                    continue
            proposed.setdefault(id(e.own), []).append(e)
        for some in proposed.values():
            items = [Item(e.p, self._buffers[e.p], {}, e.rule) for e in some]
            push(items, some[0].own, None if self.watcher is None else self.watcher.see)
            self._skip(optimizer, some)
        self._end(optimizer)

    def _skip(self, optimizer: Optimizer, entries: list[_Entry]) -> None:
        """Restore the weights if a fused kernel under a GradScaler skipped the step by itself."""
        found_inf = getattr(optimizer, "found_inf", None)
        if found_inf is not None:
            for e in entries:
                skipped = found_inf.reshape(()).to(e.p.device) > 0
                e.p.copy_(torch.where(skipped, self._buffers[e.p], e.p))

    def _end(self, optimizer: Optimizer) -> None:
        self._entries = []
        for group in optimizer.param_groups:
            self._starts.write(group)
        _step_hooks(optimizer)[0].move_to_end(self._hooks[0].id)
        watcher, self.watcher = self.watcher, None
        if watcher is not None:
            watcher.end()

    def _saving(self, optimizer: Optimizer) -> None:
        for group in optimizer.param_groups:
            if self._starts.wrote(group):
                self._starts.write(group)

    def _loaded(self, optimizer: Optimizer) -> None:
        self._starts.forget()
        self._take_over(optimizer)


def _step_hooks(optimizer: Optimizer) -> tuple[OrderedDict[int, Any], OrderedDict[int, Any]]:
    """The pre-hooks and the post-hooks of ``step`` by handle id, in the order in which they run.
    They are private to torch, which has no public way to be the last pre-hook and the first
    post-hook. Nothing else here is private."""
    return optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks  # type: ignore


def _has_closure(args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether a closure computes the gradients inside the step."""
    return any(callable(a) for a in args[1:]) or callable(kwargs.get("closure"))


def _is_running(frame: FrameType) -> bool:
    here: FrameType | None = sys._getframe(1)
    while here is not None and here is not frame:
        here = here.f_back
    return here is frame
