"""The registries of update rules and post steps: look one up by name, or register your own."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import torch
from torch import Tensor

from gofau.optim.checks import FLAGS, RANGES, StepRefused, one_of
from gofau.optim.hyperparameters import REQUIRED, SHARED, Hyperparameter

Scalar = float | Tensor
"""A hyperparameter: a number, or a 0-d tensor. A scheduler can change the value of a tensor without
a compiled step being compiled again."""

Xi = Callable[..., Tensor]


BUILT_IN = ("gofau.optim.rules", "gofau.optim.post_steps")
"""The modules of gofau's own rules and post steps."""


@dataclass(frozen=True)
class Rule:
    """A named update rule, or a named post step, which is a rule of the gradient.

    Attributes:
        name: the name by which ``rule="…"`` or ``post_step="…"`` selects it.
        xi: the function ξ(theta, d, eta, **hyperparameters), elementwise on tensors of one shape.
        hyperparameters: the rule's own hyperparameters, by name.
        kind: "rule" or "post step", for error messages.
    """

    name: str
    xi: Xi
    hyperparameters: Mapping[str, Hyperparameter]
    kind: str = "rule"
    _moves: dict[Any, bool] = field(default_factory=dict[Any, bool], compare=False, repr=False)

    def __call__(self, theta: Tensor, d: Tensor, group: dict[str, Any]) -> Tensor:
        """Compute ξ with the η and the hyperparameters of ``group``.

        Raises:
            StepRefused: the rule writes into its arguments, or returns anything but a dense, real
                tensor of θ's shape.
        """
        own = {name: h.value_in(group) for name, h in self.hyperparameters.items()}
        # The tests check the built-in rules, so the checks below are for registered ones.
        if self.is_built_in or torch.compiler.is_compiling():
            return self.xi(theta, d, group["lr"], **own)
        before = _versions(theta, d)
        xi: Any = self.xi(theta, d, group["lr"], **own)  # whatever the user's function returns
        if _versions(theta, d) != before:
            raise StepRefused(f"{self.title} writes into θ or d: it must leave them alone")
        if not isinstance(xi, Tensor) or xi.shape != theta.shape:
            got = tuple(xi.shape) if isinstance(xi, Tensor) else type(xi).__name__
            shape = tuple(theta.shape)
            raise StepRefused(f"{self.title} must return a tensor of shape {shape}, got {got}")
        if xi.layout != torch.strided or xi.is_complex():
            got = f"{xi.layout}, {xi.dtype}".replace("torch.", "")
            raise StepRefused(f"{self.title} must return a dense tensor of real numbers, got {got}")
        return xi

    @property
    def title(self) -> str:
        """Its name in error messages."""
        return f"{self.kind} '{self.name}'"

    @property
    def own(self) -> Mapping[str, Hyperparameter]:
        """Its hyperparameters by name."""
        return self.hyperparameters

    @property
    def is_built_in(self) -> bool:
        """Whether it is one of gofau's own, which the tests check."""
        return self.xi.__module__ in BUILT_IN

    def moves_zeros(self, group: Mapping[str, Any]) -> bool:
        """Whether the rule can move a weight that is exactly zero, with the hyperparameters of
        ``group``. Found by evaluating ξ at θ = 0 for d = 1 and d = −1."""
        values = {name: _number(group[name], h) for name, h in self.hyperparameters.items()}
        key = tuple(values.values())
        if key not in self._moves:
            if len(self._moves) > 1000:  # a schedule of γ gives a new key per step
                self._moves.clear()
            try:
                with torch.no_grad():
                    xi = self.xi(torch.zeros(2), torch.tensor([1.0, -1.0]), 1.0, **values)
                    self._moves[key] = bool((torch.as_tensor(xi) != 0).any())
            except RuntimeError:  # tensors have no values here, as under a FakeTensorMode
                return True
        return self._moves[key]


RULES: dict[str, Rule] = {}
"""Every known rule by name; `register_rule` adds to it."""
POST_STEPS: dict[str, Rule] = {}
"""Every known post step by name; `register_post_step` adds to it."""


def register_rule(name: str, *hyperparameters: Hyperparameter) -> Callable[[Xi], Xi]:
    """Decorator that registers ``xi(theta, d, eta, *, …)`` as ``rule=name`` for every optimizer.

    The keyword-only arguments of the function are its hyperparameters. ``eta_in``, ``eta_out`` and
    ``gamma`` have the same default, range and meaning as in all rules, unless the function gives
    its own default. Any other argument may be any number, unless it is declared here.

    Args:
        name: the name by which ``rule="…"`` will select it.
        hyperparameters: declarations of arguments of the function, with a default and a range.

    Raises:
        ValueError: the name is no text, or taken by another function, a declaration names no
            argument of the function, or that cannot be called with (theta, d, eta).

    >>> @register_rule("clipped", Hyperparameter("limit", "κ", 0.01, meaning="largest change"))
    ... def clipped(theta, d, eta, *, limit):
    ...     return (eta * d).clamp(-limit, limit)
    >>> RULES.pop("clipped").hyperparameters["limit"].default
    0.01
    """

    def register(xi: Xi) -> Xi:
        _add(RULES, Rule(name, xi, _declared(xi, hyperparameters)))
        return xi

    return register


def register_post_step(name: str, *hyperparameters: Hyperparameter) -> Callable[[Xi], Xi]:
    """Decorator that registers ``xi(theta, g, eta, *, …)`` as ``post_step=name``: a rule that is
    given the weights after the step and the gradient (`gofau.optim.post_steps`).

    Its hyperparameters are declared as those of a rule, under names that neither a base nor the
    paper's rules use: a param group holds one value of a name.

    Args:
        name: the name by which ``post_step="…"`` will select it.
        hyperparameters: as in `register_rule`.

    Raises:
        ValueError: as in `register_rule`; or a hyperparameter has the name of another one.
    """

    def register(xi: Xi) -> Xi:
        own = _declared(xi, hyperparameters)
        taken = sorted(own.keys() & {*RANGES, *FLAGS, *SHARED})
        if taken:
            raise ValueError(f"post step '{name}': a param group has a '{taken[0]}' already")
        _add(POST_STEPS, Rule(name, xi, own, "post step"))
        return xi

    return register


def get_rule(name: str) -> Rule:
    """Return the rule with that name; ValueError with the nearest match if there is none."""
    return RULES[one_of("rule", name, RULES)]


def get_post_step(name: str) -> Rule:
    """Return the post step with that name; ValueError with the nearest match if there is none."""
    return POST_STEPS[one_of("post_step", name, POST_STEPS)]


def _add(registry: dict[str, Rule], rule: Rule) -> None:
    name: Any = rule.name  # whatever the user's decorator was given
    if not isinstance(name, str) or not name:
        raise ValueError(f"a {rule.kind} needs a name, a text that is not empty: got {rule.name!r}")
    known = registry.get(rule.name)
    if known is not None and not _replaces(rule.xi, known.xi):
        raise ValueError(f"{rule.title} is already registered by {known.xi.__qualname__}")
    registry[rule.name] = rule


def _declared(xi: Xi, given: tuple[Hyperparameter, ...]) -> dict[str, Hyperparameter]:
    own = {h.name: h for h in given}
    parameters = _parameters(xi)
    found: dict[str, Hyperparameter] = {}
    for p in parameters:
        if p.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        h = own.pop(p.name, None) or SHARED.get(p.name) or Hyperparameter(p.name, p.name)
        if p.default is not REQUIRED:
            h = Hyperparameter(h.name, h.symbol, p.default, h.interval, h.meaning, h.follows)
        found[p.name] = h
    if own:
        raise ValueError(f"{xi.__qualname__} has no keyword-only argument '{next(iter(own))}'")
    return found


def _parameters(xi: Any) -> Sequence[inspect.Parameter]:
    """The parameters of a function that can be called with θ, d and η."""
    if not callable(xi):
        raise ValueError(f"a rule must be a function of (theta, d, eta), got {xi!r}")
    signature = inspect.signature(xi)
    given = {p.name: None for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY}
    try:
        signature.bind(None, None, None, **given)
    except TypeError as e:
        name = getattr(xi, "__qualname__", repr(xi))
        raise ValueError(
            f"{name}{signature} must take (theta, d, eta), and its hyperparameters as keywords"
            " after a *"
        ) from e
    return [*signature.parameters.values()]


def _replaces(new: Any, old: Any) -> bool:
    """Whether ``new`` is ``old`` defined again: the same name in the same module. Functions defined
    inside another function can share a name, so for them code and closure must be equal too."""
    names = ("__module__", "__qualname__")
    if any(getattr(new, name, None) != getattr(old, name, None) for name in names):
        return False
    return "<locals>" not in new.__qualname__ or _code_and_closure(new) == _code_and_closure(old)


def _code_and_closure(function: Any) -> Any:
    code: CodeType = function.__code__
    cells = [repr(cell.cell_contents) for cell in function.__closure__ or ()]
    return code.co_code, code.co_consts, code.co_names, cells


def _versions(*tensors: Tensor) -> list[int]:
    """How often each tensor was written to; 0 for inference tensors, which do not count it."""
    return [0 if x.is_inference() else x._version for x in tensors]


def _number(value: Any, h: Hyperparameter) -> Any:
    """A value with which `Rule.moves_zeros` can evaluate ξ: 1 for None that follows η. A tensor on
    a device would have to be waited for, so 0.5 stands for it, which is at no end of a range."""
    if value is None and h.follows is not None:
        return 1.0
    if not isinstance(value, Tensor):
        return value
    return value.item() if type(value) is Tensor and value.device.type == "cpu" else 0.5
