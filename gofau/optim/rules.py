"""Update rules ξ: how a weight moves along the direction that a base optimizer gives it.

A base optimizer turns gradients into a direction m and an adaptive step size l, which do not
contain the learning rate. With ``d = m·l`` and the learning rate η, every rule is a pure function

    θ_t = θ_{t−1} − ξ(θ_{t−1}, d; η, …)

whose keyword-only arguments are its own hyperparameters. Their values are in the param groups.

Sources: [G] Kirtas, Passalis, Tefas, *Multiplicative update rules for accelerating deep learning
training and increasing robustness*, arXiv 2307.07189; [C] the authors' code, torch_mult_optim
0.0.1; [T] the authors' slides of 2026; [M] Bernstein et al., *Learning compositional functions via
multiplicative weight updates*, arXiv 2006.14560.

Your own rule is one function, registered under a name::

    >>> @register_rule("sign")
    ... def sign(theta, d, eta):
    ...     return eta * torch.sign(d)
    >>> RULES.pop("sign").name
    'sign'
"""

import math

import torch
from torch import Tensor

from gofau.optim.checks import Interval
from gofau.optim.hyperparameters import Hyperparameter
from gofau.optim.registry import RULES, Rule, Scalar, get_rule, register_rule

__all__ = [
    "RULES",
    "Rule",
    "Scalar",
    "additive",
    "exponential",
    "get_rule",
    "hybrid",
    "hypentropy",
    "multiplicative",
    "power",
    "register_rule",
]


@register_rule("additive")
def additive(theta: Tensor, d: Tensor, eta: Scalar) -> Tensor:
    """ξ = η·d: the step of the usual optimizers. Source: [G, C, T].

    >>> additive(torch.tensor([2.0]), torch.tensor([5.0]), 0.1)
    tensor([0.5000])
    """
    return eta * d


@register_rule("multiplicative")
def multiplicative(
    theta: Tensor, d: Tensor, eta: Scalar, *, eta_in: Scalar, eta_out: Scalar
) -> Tensor:
    """ξ = η_out · |θ| · tanh(η_in · d). Source: [G, C, T].

    No step is larger than ``η_out·|θ|``, so for η_out ≤ 1 no weight changes its sign, and a weight
    that is zero stays zero (see ``zero_init`` of the optimizers). The formula has no η; with
    ``eta_out=None`` η_out is the learning rate, which is our reading of the paper (docs/science).
    tanh is not scale-free: unscale the gradients before the step if you use a loss scaler.

    Args:
        theta: θ_{t−1}, the weights before the step, any shape.
        d: m·l, the direction without a learning rate, same shape.
        eta: η, the learning rate; not used.
        eta_in: η_in > 0, the gain inside tanh (unit: 1/d).
        eta_out: η_out > 0, the largest relative change of one step (no unit).

    >>> theta, d = torch.tensor([2.0, 0.0]), torch.tensor([90.0, 90.0])
    >>> multiplicative(theta, d, 1e-3, eta_in=1.0, eta_out=0.1)
    tensor([0.2000, 0.0000])
    """
    return eta_out * (theta.abs() * torch.tanh(eta_in * d))


@register_rule("hybrid")
def hybrid(
    theta: Tensor, d: Tensor, eta: Scalar, *, eta_in: Scalar, eta_out: Scalar, gamma: Scalar
) -> Tensor:
    """ξ = γ · η_out · |θ| · tanh(η_in · d) + (1 − γ) · η · d. Source: [C, T].

    Args:
        theta, d, eta_in, eta_out: as in `multiplicative`.
        eta: η, the learning rate of the additive part.
        gamma: γ in [0, 1]; 0 is `additive` and 1 is `multiplicative`, bit for bit.

    >>> theta, d = torch.tensor([2.0]), torch.tensor([90.0])
    >>> hybrid(theta, d, 0.1, eta_in=1.0, eta_out=0.1, gamma=0.5)
    tensor([4.6000])
    """
    straight = additive(theta, d, eta)
    relative = multiplicative(theta, d, eta, eta_in=eta_in, eta_out=eta_out)
    # γ = 0 and γ = 1 select one part instead of computing the sum, so that the result is exact:
    # in the sum 0·inf would turn an overflow into a NaN, and 0 + (−0) would become +0.
    if isinstance(gamma, Tensor):
        blend = gamma * relative + (1 - gamma) * straight
        return torch.where(gamma == 0, straight, torch.where(gamma == 1, relative, blend))
    if gamma in (0, 1):
        return relative if gamma else straight
    return gamma * relative + (1 - gamma) * straight


@register_rule("exponential")
def exponential(theta: Tensor, d: Tensor, eta: Scalar) -> Tensor:
    """ξ = θ · (1 − exp(−η · d · sign θ)), that is θ_t = θ_{t−1}·exp(−η·d·sign θ_{t−1}).
    Source: [M].

    Never changes a sign; zero stays zero. [M] also clips d and clamps θ; Madam does, this rule not.

    >>> theta, d = torch.tensor([2.0, -2.0]), torch.tensor([0.0, 6.931472])
    >>> exponential(theta, d, 0.1)
    tensor([0., 2.])
    """
    return _scaled(theta, -eta * d * torch.sign(theta))


@register_rule("power")
def power(theta: Tensor, d: Tensor, eta: Scalar, *, eta_in: Scalar, eta_out: Scalar) -> Tensor:
    """ξ = θ · (1 − 2^(−η_out · tanh(η_in · d) · sign θ)). Source: [C], ``M_SPOW``.

    The exponential step with a bounded exponent: a weight grows or shrinks at most by the factor
    2^η_out. Never changes a sign; zero stays zero.

    Args:
        theta, d, eta, eta_in: as in `multiplicative`.
        eta_out: η_out > 0, the largest power of two of one step.

    >>> power(torch.tensor([2.0, -2.0]), torch.tensor([90.0, 90.0]), 1e-3, eta_in=1.0, eta_out=1.0)
    tensor([1., 2.])
    """
    return _scaled(theta, (-math.log(2) * eta_out) * torch.tanh(eta_in * d) * torch.sign(theta))


def _scaled(theta: Tensor, x: Tensor) -> Tensor:
    """θ · (1 − eˣ), by expm1: small steps keep their relative accuracy, which ``1 − exp`` loses.

    The step is at most (1 − ε/2)·θ: a larger one would be rounded to θ and leave an exact zero,
    which no later step could move. So in one step a weight shrinks at most by the factor 2⁻²⁴ in
    float32 (reached for x < −16.6), and 2⁻⁵³ in float64. (In float16 the result for a weight of ½
    or less is below the smallest float16 and still becomes zero.)"""
    short_of_one = 1 - torch.finfo(theta.dtype).eps / 2
    return -theta * torch.expm1(x).clamp(min=-short_of_one)


@register_rule(
    "hypentropy",
    Hyperparameter(
        *("hyp_beta", "β", 0.1, Interval(1e-12, 1e12)),
        meaning="|θ| below which a step is additive, of size β·η·d; above it is relative",
    ),
)
def hypentropy(theta: Tensor, d: Tensor, eta: Scalar, *, hyp_beta: Scalar) -> Tensor:
    """ξ = θ − β · sinh(arcsinh(θ/β) − η · d). Source: Ghai, Hazan, Singer, *Exponentiated gradient
    meets gradient descent*, arXiv 1902.01903.

    Mirror descent on the hyperbolic entropy: ξ ≈ √(θ² + β²)·η·d. For |θ| ≪ β it is the additive
    step with rate β·η, for |θ| ≫ β the exponential one. A weight can change its sign and leave 0.

    It is also EG±, which holds θ as θ⁺ − θ⁻ and multiplies the halves by exp(∓η·d): that leaves
    θ⁺·θ⁻ as it is, so halves that start with θ⁺·θ⁻ = β²/4 are (√(θ² + β²) ± θ)/2 at every step, and
    need not be kept.

    Args:
        theta, d: as in `multiplicative`.
        eta: η, the learning rate.
        hyp_beta: β from 1e-12 to 1e12 (unit: θ), so that β² is a float32. The default is
            ours: about the size of a network's weights.

    >>> hypentropy(torch.tensor([0.0, 1e6]), torch.tensor([1.0, 1.0]), 0.5, hyp_beta=2.0)
    tensor([1.0422e+00, 3.9347e+05])
    """
    # For a = arcsinh(θ/β) ≥ 0, sinh(a − x) = sinh(a)·e^(−x) − (cosh(a) − sinh(a))·sinh(x): the
    # exponential step and a rest, so nothing cancels, however large θ/β is. a < 0 mirrors it.
    rest = hyp_beta**2 / (theta.abs() + torch.sqrt(theta * theta + hyp_beta**2))
    x = eta * d
    return -theta * torch.expm1(-x * torch.sign(theta)) + rest * torch.sinh(x)
