"""The rules that there are, by name, and the door for one's own."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import torch
from torch import Tensor

from gofau.optim.checks import one_of
from gofau.optim.hyperparameters import REQUIRED, SHARED, Hyperparameter

Scalar = float | Tensor
"""A hyperparameter: a number, or a 0-d tensor (so that a compiled step need not be compiled again
when a scheduler changes it)."""

Xi = Callable[..., Tensor]


@dataclass(frozen=True)
class Rule:
    """A named update rule.

    Attributes:
        name: what ``rule="…"`` calls it.
        xi: the function ξ(theta, d, eta, **hyperparameters), elementwise on tensors of one shape.
        hyperparameters: its own, by name.
    """

    name: str
    xi: Xi
    hyperparameters: Mapping[str, Hyperparameter]
    _moves: dict[Any, bool] = field(default_factory=dict[Any, bool], compare=False, repr=False)

    def __call__(self, theta: Tensor, d: Tensor, group: dict[str, Any]) -> Tensor:
        """ξ with η and the hyperparameters that ``group`` carries.

        Raises:
            ValueError: the rule writes into its arguments, or returns something else than a tensor
                of θ's shape.
        """
        own = {name: h.value_in(group) for name, h in self.hyperparameters.items()}
        if self.is_built_in or torch.compiler.is_compiling():
            return self.xi(theta, d, group["lr"], **own)
        before = _versions(theta, d)
        xi: Any = self.xi(theta, d, group["lr"], **own)  # whatever the user's function returns
        if _versions(theta, d) != before:
            raise ValueError(f"rule '{self.name}' writes into θ or d: it must leave them alone")
        if not isinstance(xi, Tensor) or xi.shape != theta.shape:
            got = tuple(xi.shape) if isinstance(xi, Tensor) else type(xi).__name__
            shape = tuple(theta.shape)
            raise ValueError(f"rule '{self.name}' must return a tensor of shape {shape}, got {got}")
        return xi

    @property
    def title(self) -> str:
        """What a message calls it."""
        return f"rule '{self.name}'"

    @property
    def own(self) -> Mapping[str, Hyperparameter]:
        """Its hyperparameters by name."""
        return self.hyperparameters

    @property
    def is_built_in(self) -> bool:
        """Whether it is one of gofau's, which the tests hold to what is asked of a rule."""
        return self.xi.__module__ == "gofau.optim.rules"

    def moves_zeros(self, group: Mapping[str, Any]) -> bool:
        """Whether a weight that is exactly zero can leave it, with the hyperparameters of
        ``group``: asked of the function itself, for a step of size 1 to either side."""
        values = {name: _number(group[name], h) for name, h in self.hyperparameters.items()}
        key = tuple(values.values())
        if key not in self._moves:
            if len(self._moves) > 1000:  # as when a schedule drives γ
                self._moves.clear()
            try:
                with torch.no_grad():
                    xi = self.xi(torch.zeros(2), torch.tensor([1.0, -1.0]), 1.0, **values)
                    self._moves[key] = bool((torch.as_tensor(xi) != 0).any())
            except RuntimeError:  # there are no numbers to ask, as under a FakeTensorMode
                return True
        return self._moves[key]


RULES: dict[str, Rule] = {}
"""Every known rule by name; `register_rule` adds to it."""


def register_rule(name: str, *hyperparameters: Hyperparameter) -> Callable[[Xi], Xi]:
    """Decorator: make ``xi(theta, d, eta, *, …)`` known as ``rule=name`` to every optimizer.

    Its keyword-only arguments are its hyperparameters. Those called ``eta_in``, ``eta_out`` and
    ``gamma`` have the default, the range and the meaning they have everywhere, unless the function
    gives a default of its own; any other may be any number, unless it is declared here.

    Args:
        name: what ``rule="…"`` will call it.
        hyperparameters: declarations, with a default and a range, of arguments of the function.

    Raises:
        ValueError: the name is taken by another function, or a declaration is of no argument.

    >>> @register_rule("clipped", Hyperparameter("limit", "κ", 0.01, meaning="largest change"))
    ... def clipped(theta, d, eta, *, limit):
    ...     return (eta * d).clamp(-limit, limit)
    >>> RULES.pop("clipped").hyperparameters["limit"].default
    0.01
    """

    def register(xi: Xi) -> Xi:
        known = RULES.get(name)
        if known is not None and not _replaces(xi, known.xi):
            raise ValueError(f"rule '{name}' is already registered by {known.xi.__qualname__}")
        RULES[name] = Rule(name, xi, _declared(xi, hyperparameters))
        return xi

    return register


def get_rule(name: str) -> Rule:
    """The rule of that name; a ValueError with the nearest match where there is none."""
    return RULES[one_of("rule", name, RULES)]


def _declared(xi: Xi, given: tuple[Hyperparameter, ...]) -> dict[str, Hyperparameter]:
    own = {h.name: h for h in given}
    parameters = inspect.signature(xi).parameters.values()
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


def _replaces(new: Any, old: Any) -> bool:
    """Whether ``new`` is ``old`` defined again: the same place of the same module. Of a function
    made inside another that says little, so there the code and all it holds must be the same."""
    names = ("__module__", "__qualname__")
    if any(getattr(new, name, None) != getattr(old, name, None) for name in names):
        return False
    return "<locals>" not in new.__qualname__ or _substance(new) == _substance(old)


def _substance(function: Any) -> Any:
    code: CodeType = function.__code__
    cells = [repr(cell.cell_contents) for cell in function.__closure__ or ()]
    return code.co_code, code.co_consts, code.co_names, cells


def _versions(*tensors: Tensor) -> list[int]:
    """How often each was written to. Inference tensors do not count it."""
    return [0 if x.is_inference() else x._version for x in tensors]


def _number(value: Any, h: Hyperparameter) -> Any:
    """A value to ask a rule with: η = 1 for what follows it; in place of a tensor that is not at
    hand without waiting, a number that is at no end of any range."""
    if value is None and h.follows is not None:
        return 1.0
    if not isinstance(value, Tensor):
        return value
    return value.item() if type(value) is Tensor and value.device.type == "cpu" else 0.5
