"""Update rules ξ: what a base optimizer's proposal does to the weights.

A base optimizer turns gradients into a direction m and a step size l. With ``u = m·l``, every rule
is a pure function of the weights before the step and of u, and the step is

    θ_t = θ_{t−1} − ξ(θ_{t−1}, u)

Source: Kirtas, Passalis, Tefas, *Multiplicative update rules for accelerating deep learning
training and increasing robustness*, arXiv 2307.07189 (GOFAU, [G]); the exponential rule is that of
Bernstein et al., *Learning compositional functions via multiplicative weight updates*,
arXiv 2006.14560 ([M]).

A rule of your own is one function, found under its name from then on::

    >>> @register_rule("sign")
    ... def sign(theta, u, *, eta_out):
    ...     return eta_out * torch.sign(u)

Its keyword-only arguments are its hyperparameters. They live in the optimizer's param groups.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gofau.optim.checks import one_of

Scalar = float | Tensor
"""A hyperparameter: a number, or a 0-d tensor (so that a compiled step need not be compiled again
when a scheduler changes it)."""


@dataclass(frozen=True)
class Rule:
    """A named update rule.

    Attributes:
        name: what ``rule="…"`` calls it.
        xi: the function ξ(theta, u, **hyperparameters), elementwise on tensors of one shape.
        hyperparameters: names of its keyword-only arguments, with their defaults where it has any.
    """

    name: str
    xi: Callable[..., Tensor]
    hyperparameters: dict[str, Any]

    def __call__(self, theta: Tensor, u: Tensor, group: dict[str, Any]) -> Tensor:
        """ξ with the hyperparameters that ``group`` carries."""
        return self.xi(theta, u, **{name: group[name] for name in self.hyperparameters})

    def options(self, given: dict[str, Any], known: Iterable[str]) -> dict[str, Any]:
        """The hyperparameters that this rule has beyond the ``known`` ones: those given, and the
        defaults of the rest; one without a default that is not given is left out.

        Raises:
            TypeError: one is given that the rule does not have.
        """
        own = {k: v for k, v in self.hyperparameters.items() if k not in set(known)}
        for name in given:
            if name not in own:
                others = ", ".join(own) or "none beyond the documented ones"
                raise TypeError(
                    f"rule '{self.name}' has no hyperparameter '{name}' (it has: {others})"
                )
        return {k: v for k, v in (own | given).items() if v is not inspect.Parameter.empty}


RULES: dict[str, Rule] = {}
"""Every known rule by name; `register_rule` adds to it."""


def register_rule(name: str) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Decorator: make ``xi(theta, u, *, …)`` known as ``rule=name`` to every optimizer.

    Raises:
        ValueError: the name is taken by another function.
    """

    def register(xi: Callable[..., Tensor]) -> Callable[..., Tensor]:
        known = RULES.get(name)
        if known is not None and known.xi.__qualname__ != xi.__qualname__:
            raise ValueError(f"rule '{name}' is already registered by {known.xi.__qualname__}")
        RULES[name] = Rule(name, xi, _keyword_only(xi))
        return xi

    return register


def get_rule(name: str) -> Rule:
    """The rule of that name; a ValueError with the nearest match where there is none."""
    return RULES[one_of("rule", name, RULES)]


def _keyword_only(xi: Callable[..., Tensor]) -> dict[str, Any]:
    parameters = inspect.signature(xi).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


@register_rule("additive")
def additive(theta: Tensor, u: Tensor) -> Tensor:
    """ξ = u: the step every optimizer takes today. Source: [G], given.

    >>> additive(torch.tensor([2.0]), torch.tensor([0.5]))
    tensor([0.5000])
    """
    return u


@register_rule("multiplicative")
def multiplicative(theta: Tensor, u: Tensor, *, eta_in: Scalar, eta_out: Scalar) -> Tensor:
    """ξ = |θ| · tanh(η_in · u) · η_out. Source: [G], given.

    No step is larger than ``η_out·|θ|``, so that for η_out < 1 no weight changes its sign, and a
    weight that is zero stays zero (see ``zero_init`` of the optimizers). tanh is not scale-free:
    unscale gradients before the step when a loss scaler is used.

    Args:
        theta: θ_{t−1}, the weights before the step, any shape.
        u: m·l, the additive step, same shape.
        eta_in: η_in > 0, the gain inside tanh (unit: 1/u).
        eta_out: η_out > 0, the largest relative change of one step (no unit).

    >>> multiplicative(torch.tensor([2.0, 0.0]), torch.tensor([9.0, 9.0]), eta_in=10, eta_out=0.1)
    tensor([0.2000, 0.0000])
    """
    return theta.abs() * torch.tanh(eta_in * u) * eta_out


@register_rule("hybrid")
def hybrid(theta: Tensor, u: Tensor, *, eta_in: Scalar, eta_out: Scalar, alpha: Scalar) -> Tensor:
    """ξ = (1 − α)·u + α·|θ|·tanh(η_in·u)·η_out. Source: [G].

    That an additive term joins the multiplicative one, so that signs can change, is given; the
    convex blend and its weight α are our reading.

    Args:
        theta, u, eta_in, eta_out: as in `multiplicative`.
        alpha: α in [0, 1]; 0 is `additive` and 1 is `multiplicative`, bit for bit.

    >>> hybrid(torch.tensor([2.0]), torch.tensor([9.0]), eta_in=10, eta_out=0.1, alpha=0.5)
    tensor([4.6000])
    """
    relative = multiplicative(theta, u, eta_in=eta_in, eta_out=eta_out)
    # The ends are chosen, not computed: 0·inf would turn an overflow into a NaN, 0 + (−0) into +0.
    if isinstance(alpha, Tensor):
        blend = (1 - alpha) * u + alpha * relative
        return torch.where(alpha == 0, u, torch.where(alpha == 1, relative, blend))
    if alpha in (0, 1):
        return relative if alpha else u
    return (1 - alpha) * u + alpha * relative


@register_rule("exponential")
def exponential(theta: Tensor, u: Tensor) -> Tensor:
    """ξ = θ·(1 − exp(−u·sign θ)), that is θ_t = θ_{t−1}·exp(−u·sign θ_{t−1}). Source: [M], given.

    Never changes a sign; zero stays zero. Written with expm1, which keeps the relative accuracy of
    small steps that ``1 − exp`` loses. [M] clips u and clamps θ; that is Madam, not this rule.

    >>> exponential(torch.tensor([2.0, -2.0]), torch.tensor([0.0, 0.6931472]))
    tensor([0., 2.])
    """
    return -theta * torch.expm1(-u * torch.sign(theta))
