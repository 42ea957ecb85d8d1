"""Measure what a rule does to weights: saturation, frozen weights, sign flips, size of the update.

For one step, on demand; no hook remains afterwards::

    with observe(optimizer, model=model) as step:
        optimizer.step()
    step.result()["saturation/all"]

or every n-th step, without a change of the training loop::

    monitor(optimizer, write, every=100)  # gofau.optim.monitor: calls write(step, row)

Both work for gofau's optimizers, for optimizers with an attached rule, and (without the saturation)
for any other. Each figure is given per parameter, by name, and as ``…/all`` for all together:

``saturation/``
    share of elements with |tanh(η_in·d)| > 0.99, among those whose rule has a tanh; NaN if none.
``frozen/``
    share of elements that are exactly zero under a rule that cannot move a zero.
``sign_flips/``
    share of elements whose sign this step changed.
``update_ratio/``
    ‖Δθ‖ / ‖θ‖, θ before the step; Δθ includes decoupled weight decay. NaN where θ = 0.
``update_rms/``
    root mean square of Δθ.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gofau.optim.attachment.handle import Attached, attached
from gofau.optim.checks import plain
from gofau.optim.execution.guards import compute_dtype
from gofau.optim.figures import SATURATED, Row, Seen, measured, row_of
from gofau.optim.optimizer import RuleOptimizer
from gofau.optim.rules import Rule
from gofau.optim.update import propose, rule_of, step_number


class Observation:
    """Measures the first step that an optimizer takes while it is observed. Made by `observe`."""

    def __init__(
        self,
        optimizer: Optimizer,
        model: nn.Module | None = None,
        per_layer: bool = True,
        done: Callable[["Observation"], None] = lambda observation: None,
    ) -> None:
        self._names = _names(optimizer, model)
        self._per_layer, self._done = per_layer, done
        self._seen: dict[Tensor, Seen] = {}
        self._handle: Attached | None = None
        self._over = False

    def before(self, optimizer: Optimizer, args: Any, kwargs: dict[str, Any]) -> Any:
        """Step pre-hook."""
        if self._over:
            return None
        self._seen = {}
        self._handle = attached(optimizer)
        if self._handle is not None:
            self._handle.watcher = self
        elif isinstance(optimizer, RuleOptimizer):
            optimizer.watcher = self.see
            if optimizer.needs:  # it may make the gradients itself, and call the closure twice
                optimizer.on_gradients += (self._look,)
                return None
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if not callable(closure):
            self._look(optimizer)
            return None

        def watched() -> Any:  # only the closure computes the gradients, within the step
            loss = closure()
            if not self._seen:
                self._look(optimizer)
            return loss

        if len(args) > 1:
            return (args[0], watched, *args[2:]), kwargs
        return args, kwargs | {"closure": watched}

    def after(self, optimizer: Optimizer, args: Any, kwargs: dict[str, Any]) -> None:
        """Step post-hook. An attached rule runs in a post-hook too, and calls `end` itself."""
        if isinstance(optimizer, RuleOptimizer):
            optimizer.watcher = None
        if self._handle is None:
            self.end()

    @torch.no_grad()
    def _look(self, optimizer: Optimizer) -> None:
        ours = optimizer if isinstance(optimizer, RuleOptimizer) else None
        if ours is not None:  # asked for this one step only
            ours.on_gradients = tuple(call for call in ours.on_gradients if call != self._look)
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None and not p.is_complex():
                    self._seen[p] = Seen(self._names[p], p.detach().clone())
                    # With any other step size the step itself reports d, through ``watcher``.
                    if self._handle is None and ours and group["stepsize"] == "base":
                        self.see(p, *_proposal(ours, p, p.grad, group), group)

    def see(self, p: Tensor, d: Tensor, rule: Rule, settings: dict[str, Any]) -> None:
        """Record the figures that depend on the direction d, which is not stored anywhere."""
        seen = self._seen.get(p)
        if seen is None:  # stepped, although it had no gradient after the closure
            return
        if "eta_in" in rule.hyperparameters:
            beyond = (settings["eta_in"] * d).abs() > math.atanh(SATURATED)
            seen.saturated = beyond.sum()
        seen.stuck = not rule.moves_zeros(settings)

    @torch.no_grad()
    def end(self) -> None:
        """Compare the weights with those before the step."""
        if self._over or not self._seen:
            return
        for p, seen in self._seen.items():
            seen.figures = measured(seen, p.detach())
            seen.sizes = (seen.before.numel(), 0 if seen.saturated is None else p.numel())
            seen.before = seen.before.new_empty(0)  # frees the copy
        self._over = True
        self._done(self)

    def result(self) -> Row:
        """The figures as plain floats, ``{"saturation/all": 0.01, "frozen/all": 0.0, …}``; empty if
        no step was taken. Waits for the device once; nothing else here does."""
        if not self._over:
            return {}
        figures = [s.figures for s in self._seen.values() if s.figures is not None]
        values = torch.stack([f.to(figures[0].device) for f in figures]).tolist()
        rows = [[*s.sizes, *v] for s, v in zip(self._seen.values(), values, strict=True)]
        result = row_of("all", [sum(column) for column in zip(*rows, strict=True)])
        if self._per_layer:
            for seen, row in zip(self._seen.values(), rows, strict=True):
                result |= row_of(seen.name, row)
        return result


@contextmanager
def observe(
    optimizer: Optimizer, *, model: nn.Module | None = None, per_layer: bool = True
) -> Iterator[Observation]:
    """Measure the next step of an optimizer. A copy of the weights is kept during that step only;
    no hook remains afterwards.

    d is not recovered from the weights, because a saturated tanh hides it. For gofau's optimizers
    it is computed as in the step, on a copy of the state of one parameter at a time, so it is
    exact. An attached rule, and a step size other than the base's own, report the d that they
    apply. With sharded parameters (FSDP2) all processes must observe the same step.

    Args:
        optimizer: one of gofau's, one with an attached rule, or any other.
        model: gives the names. Without it: the optimizer's ``param_names``, else "group.index".
        per_layer: also report the figures of each parameter, not only those of all together.

    Example:
        >>> import gofau.optim
        >>> weight = torch.tensor([1.0, -1.0, 0.0, 2.0], requires_grad=True)
        >>> optimizer = gofau.optim.SGD([weight], lr=0.1, rule="multiplicative")
        >>> weight.grad = torch.tensor([5.0, 0.1, 1.0, -5.0])
        >>> with observe(optimizer, per_layer=False) as step:
        ...     optimizer.step()
        >>> {name: round(value, 3) for name, value in step.result().items()}
        ... # doctest: +NORMALIZE_WHITESPACE
        {'saturation/all': 0.5, 'frozen/all': 0.25, 'sign_flips/all': 0.0,
         'update_ratio/all': 0.091, 'update_rms/all': 0.112}
    """
    observation = Observation(optimizer, model, per_layer)
    hooks = [
        optimizer.register_step_pre_hook(observation.before),
        optimizer.register_step_post_hook(observation.after),
    ]
    try:
        yield observation
    finally:
        for hook in hooks:
            hook.remove()


def _names(optimizer: Optimizer, model: nn.Module | None) -> dict[Tensor, str]:
    names: dict[Tensor, str] = {}
    for i, group in enumerate(optimizer.param_groups):
        for j, p in enumerate(group["params"]):
            names[p] = group["param_names"][j] if "param_names" in group else f"{i}.{j}"
    return names if model is None else names | {p: n for n, p in model.named_parameters()}


@torch.no_grad()
def directions_of(optimizer: RuleOptimizer) -> dict[Tensor, Tensor]:
    """The direction d = m·l of the step that would follow, per parameter that has a gradient. It
    has no learning rate, rule or step size in it. Neither weights nor state change.

    >>> import gofau.optim
    >>> weight = torch.tensor([1.0, -1.0], requires_grad=True)
    >>> weight.grad = torch.tensor([5.0, 0.1])
    >>> directions_of(gofau.optim.Adam([weight]))[weight]  # of the first step: the signs
    tensor([1.0000, 1.0000])
    """
    return {
        p: _proposal(optimizer, p, p.grad, group)[0]
        for group in optimizer.param_groups
        for p in group["params"]
        if p.grad is not None
    }


def _proposal(
    optimizer: RuleOptimizer, p: Tensor, g: Tensor, group: dict[str, Any]
) -> tuple[Tensor, Rule]:
    """d as the following step will compute it, and the rule that will be applied. Works on copies:
    neither weights nor state change."""
    known = optimizer.state.get(p) or {}
    known = {k: v.clone() if isinstance(v, Tensor) else v for k, v in known.items()}
    state = optimizer.direction.init(p, group) | known
    group = plain(group)
    rule = rule_of(p, state, group)
    h = group | optimizer.direction.coefficients(step_number(state, group), group)
    wide = compute_dtype(p.dtype)
    for name in optimizer.direction.buffers(group):
        if isinstance(state.get(name), Tensor):
            state[name] = state[name].to(wide)
    return propose(optimizer.direction, p.to(wide), g.to(wide), state, h), rule
