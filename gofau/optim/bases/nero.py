"""Nero: the neuronal rotator."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gofau.optim.bases.fromage import GRADIENT
from gofau.optim.bases.sgd import SGDDirection
from gofau.optim.directions import Group
from gofau.optim.group_keys import arguments, fixed
from gofau.optim.neuron import has_neurons
from gofau.optim.optimizer import Params, RuleOptimizer
from gofau.optim.projection import Projection
from gofau.optim.rules import Scalar
from gofau.optim.update import SHORT, Item


class Balance(Projection):
    """θ_k ← θ_k − mean(θ_k), then θ_k ← θ_k / ‖θ_k‖ for every neuron k: a row of a tensor of two or
    more dimensions. Other tensors stay as they are, and so does a row of norm 0. Source: Nero,
    arXiv 2102.07227."""

    def prepare(self, p: Tensor) -> None:
        _balance(p)

    def __call__(self, items: Sequence[Item], group: Group) -> None:
        for x in items:
            _balance(x.p)


def _balance(p: Tensor) -> None:
    if not has_neurons(p):
        return
    dims = tuple(range(1, p.dim()))
    wide = p.float() if p.dtype in SHORT else p
    centred = wide - wide.mean(dim=dims, keepdim=True)
    norm = (centred * centred).sum(dim=dims, keepdim=True).sqrt()
    p.copy_(centred / torch.where(norm > 0, norm, 1))


class Nero(RuleOptimizer):
    """Every neuron's weights turn by about η, and stay of mean 0 and norm 1.

        v_k = β·v_k + (1 − β)·‖g_k‖²          θ_k ← θ_k − η·(‖θ_k‖/√v̂_k)·g_k
        θ_k ← θ_k − mean(θ_k)                 θ_k ← θ_k / ‖θ_k‖

    for the weights θ_k of neuron k: a row of a tensor of two or more dimensions. Elements of other
    tensors (biases, gains) are stepped one by one, with a scale σ of the tensor in place of ‖θ_k‖,
    and not projected.

    The direction of `SGD`, the step size "neuron" (`gofau.optim.neuron`, which says what σ is and
    what is our reading), the additive rule, and a projection after the step. **The weights are
    projected when the optimizer is made**, so that the first gradient is that of balanced ones;
    those loaded later are projected by their first step. The rule is Nero's own: it has no ``rule``
    and no ``stepsize``. bfloat16 and float16 are rounded twice, after the step and after the
    projection.

    Args:
        params, foreach and what follows: as in `SGD`.
        lr: η ≥ 0; about the angle, in radians, by which each neuron turns.
        neuron_beta: β in [0, 1), of the average of squared norms.

    Source: Liu, Bernstein, Meister, Yue, *Learning by turning: neural architecture aware
    optimisation*, arXiv 2102.07227.
    """

    direction = SGDDirection()
    projection = Balance()
    own_rule = True

    def __init__(
        self,
        params: Params,
        lr: Scalar = 0.01,
        neuron_beta: Scalar = 0.999,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        own = fixed("additive", "neuron") | GRADIENT | {"zero_init": "additive"}
        super().__init__(params, own | arguments(locals()), {})
