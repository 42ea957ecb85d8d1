"""Nero's step size: the step of every neuron is proportional to the norm of its weights."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gofau.optim.checks import DECAY_RATE
from gofau.optim.hyperparameters import Hyperparameter
from gofau.optim.stepsize import Evidence, Layer, StepSize, register_stepsize
from gofau.optim.update import SHORT

BIAS_SCALE = 0.01
"""In place of the scale of a bias that is zero at the start."""


@register_stepsize("neuron")
class Neuron(StepSize):
    """s = ‖θ_k‖ / √v̂_k per neuron k; v̂ the average of ‖d_k‖², v_k = β·v_k + (1 − β)·‖d_k‖² with its
    start at 0 corrected. Source: Nero, arXiv 2102.07227.

    A neuron is a row of a tensor of two or more dimensions: what belongs to one index of the first.
    Where ‖θ_k‖ is 0 it counts as 1. In a tensor of fewer dimensions (biases, gains), or with one
    element per row, every element is by itself, and a constant of the tensor, σ, stands in place of
    its norm. Our reading of σ, the paper's initialisation scale: the root mean square at the first
    step, 0.01 where that is 0. Where v_k is 0, s is 1.
    """

    scope = "element"
    hyperparameters = (
        Hyperparameter("neuron_beta", "β", 0.999, DECAY_RATE, "of the average of squared norms"),
    )

    def init(self, p: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        """``neuron_sq`` is v, ``neuron_weight`` 1 − β^t, and ``neuron_scale`` σ."""
        x = p.detach().float() if p.dtype in SHORT else p.detach()
        rows, scale = x, (x * x).mean().sqrt() if not has_neurons(p) else None
        for dim in range(1, p.dim() if has_neurons(p) else 0):
            rows = rows.narrow(dim, 0, 1)
        state = {"neuron_sq": torch.zeros_like(rows), "neuron_weight": x.new_zeros(())}
        if scale is not None:
            state["neuron_scale"] = torch.where(scale > 0, scale, BIAS_SCALE)
        return state

    def __call__(
        self, layers: Sequence[Layer], group: dict[str, Any], evidence: Evidence
    ) -> Sequence[Tensor]:
        beta = group["neuron_beta"]
        values: list[Tensor] = []
        for x in layers:
            v, weight = x.state["neuron_sq"], x.state["neuron_weight"]
            v.mul_(beta).add_((1 - beta) * _squares(x.d))
            weight.mul_(beta).add_(1 - beta)
            if has_neurons(x.theta):
                size = _squares(x.theta).sqrt()
                size = torch.where(size > 0, size, 1)
            else:
                size = x.state["neuron_scale"]
            root = (v / weight).sqrt()
            values.append(torch.where(root > 0, size / torch.where(root > 0, root, 1), 1))
        return values


def has_neurons(p: Tensor) -> bool:
    """Whether rows of the tensor are the weights of neurons, more than one each."""
    return p.dim() > 1 and p.numel() > p.shape[0]


def _squares(x: Tensor) -> Tensor:
    """‖x_k‖² per neuron, with the dimensions kept; x² where elements are by themselves."""
    if not has_neurons(x):
        return x * x
    return (x * x).sum(dim=tuple(range(1, x.dim())), keepdim=True)
