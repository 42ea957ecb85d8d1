"""Post steps: what happens to the weights after the step of a base optimizer.

A post step is a rule of the gradient. It is given the weights that the step has left and the
gradient that the step began with, and moves the weights once more:

    θ ← θ − ξ(θ, g; η, …)

θ is the weight after the whole step: direction, step size, rule, weight decay. g is the gradient
itself, as autograd (and clipping) left it: without weight decay, without momentum; with
``maximize`` it is −g, the gradient of what is minimised. η is the group's ``lr``, also where a step
size replaces η in the step. So every post step combines with every base, step size and rule. It is
selected by name, ``post_step="ham"``, in the constructor or in a param group, and its
hyperparameters are there too. bfloat16 and float16 are computed in float32 and rounded twice, after
the step and after the post step.

Source of `ham`: [H] Jacobs, Gadhikar, Rubio-Madrigal, Burkholz, *HAM: A Hyperbolic Step to Regulate
Implicit Bias*, arXiv 2506.02630 (ICLR 2026 under the title *Hyperbolic Aware Minimization: Implicit
Bias for Sparsity*).

Your own post step is one function, registered under a name::

    >>> @register_post_step("drop_small", Hyperparameter("smallest", "κ", 1e-3))
    ... def drop_small(theta, g, eta, *, smallest):
    ...     return theta * (theta.abs() < smallest)
    >>> POST_STEPS.pop("drop_small").name
    'drop_small'
"""

import torch
from torch import Tensor

from gofau.optim.checks import Interval
from gofau.optim.directions import Direction, Group, State
from gofau.optim.hyperparameters import Hyperparameter
from gofau.optim.registry import POST_STEPS, Rule, Scalar, get_post_step, register_post_step
from gofau.optim.rules import exponential
from gofau.optim.stepsize import StepSize

__all__ = ["NOTHING", "POST_STEPS", "after", "get_post_step", "ham", "register_post_step"]


@register_post_step("none")
def none(theta: Tensor, g: Tensor, eta: Scalar) -> Tensor:
    """ξ = 0: the weights stay as the step leaves them. It costs nothing, as it is never called."""
    return torch.zeros_like(theta)


NOTHING = POST_STEPS["none"]


@register_post_step(
    "ham",
    Hyperparameter(
        *("ham_alpha", "α", 200.0, Interval(0, open_high=True)),
        meaning="weight of the gradient in the exponent",
    ),
    Hyperparameter(
        *("ham_beta", "β", 1e-3, Interval(0, open_high=True)),
        meaning="decay in the exponent: of every weight, whatever its gradient",
    ),
)
def ham(theta: Tensor, g: Tensor, eta: Scalar, *, ham_alpha: Scalar, ham_beta: Scalar) -> Tensor:
    """ξ = θ · (1 − exp(−η · (α · g · sign θ + β))), that is θ ← θ·exp(η·(−α·sign(θ)·g − β)), the
    hyperbolic step of HAM. Source: [H], algorithm 1.

    This is the exponential rule with d = α·g + β·sign θ. It never changes a sign, and a weight that
    is zero stays zero: only the step of the base does more. β is a decay of all weights.

    The formula is the paper's. The authors' code does not apply it to tensors of one dimension
    (biases, normalisation): give those a param group with ``post_step="none"``. Their code also
    limits the exponent to ±5, and clips gradients and weights by their norms; this does not.

    One step multiplies a weight by exp(−η·α·g·sign θ), so α = 200 suits a small η·g. It is too much
    where η is large: for a step size that replaces η, the group's ``lr`` is a factor of about 1.

    Args:
        theta: θ, the weights after the step, any shape.
        g: the gradient before the step, same shape.
        eta: η, the learning rate of the group.
        ham_alpha: α ≥ 0 (unit: 1/(η·g)).
        ham_beta: β ≥ 0 (unit: 1/η).

    >>> theta, g = torch.tensor([2.0, -2.0, 0.0]), torch.tensor([6.931472, 6.931472, 6.931472])
    >>> theta - ham(theta, g, 0.1, ham_alpha=1.0, ham_beta=0.0)
    tensor([ 1., -4.,  0.])
    """
    return exponential(theta, ham_alpha * g + ham_beta * torch.sign(theta), eta)


def after(
    direction: Direction,
    stepsize: StepSize,
    rule: Rule,
    p: Tensor,
    g: Tensor,
    state: State,
    h: Group,
) -> Tensor:
    """θ − ξ(θ, g; η), the statement of a post step, with the signature of
    `gofau.optim.update.update`: so every execution path carries it out."""
    return p - rule(p, -g if h["maximize"] else g, h)
