"""The distribution of log|θ|: whether the weights of a network are log-normal.

Multiplicative updates add up in log|θ|, so many independent ones would make it normal, and θ
log-normal. Skewness and excess kurtosis of a normal distribution are 0. For reference, ln|θ| of
normal weights has the standard deviation π/√8 = 1.111, skewness −1.535 and excess kurtosis 4; that
of uniform weights around zero (torch's own initialisation of layers) has 1, −2 and 6.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

NEAR_ZERO = 1e-3
"""|θ| below this share of the tensor's root mean square counts as near zero."""


class LogMoments(NamedTuple):
    """Moments of x = ln(|θ|/rms), with rms that of the weight's own tensor, over all weights that
    are not exactly zero.

    Attributes:
        n: number of weights, zeros included.
        zeros: share of weights that are exactly zero.
        near_zero: share of weights with |θ| < `NEAR_ZERO`·rms, zeros included.
        mean, sd: of x (sd with 1/n).
        skew: E[(x − mean)³]/sd³; NaN if all x are equal.
        kurtosis: excess kurtosis, E[(x − mean)⁴]/sd⁴ − 3; NaN if all x are equal.
    """

    n: int
    zeros: float
    near_zero: float
    mean: float
    sd: float
    skew: float
    kurtosis: float


def layer_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights of a model's layers by name: its parameters with two or more dimensions, which
    leaves out biases and the factors and shifts of normalisations.

    >>> list(layer_weights(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))))
    ['0.weight']
    """
    return {name: p for name, p in model.named_parameters() if p.ndim >= 2}


def relative(weights: Sequence[Tensor]) -> Tensor:
    """|θ|/rms of all weights in one vector, in double precision, with the rms of each tensor: so
    tensors of different scale can be looked at together.

    Raises:
        ValueError: there is no weight, a tensor is all zero, or a weight is not finite.

    >>> relative([torch.tensor([3.0, -4.0]), torch.tensor([20.0])])
    tensor([0.8485, 1.1314, 1.0000], dtype=torch.float64)
    """
    if not any(w.numel() for w in weights):
        raise ValueError("there are no weights to look at the distribution of")
    wide = [w.detach().double().abs().flatten() for w in weights if w.numel()]
    roots = [w.square().mean().sqrt() for w in wide]
    if not all(root.isfinite() for root in roots):
        raise ValueError("a weight is NaN or infinite: there is no distribution to look at")
    if any(root == 0 for root in roots):
        raise ValueError("a tensor of weights is all zero: log|θ| has no distribution")
    return torch.cat([w / root for w, root in zip(wide, roots, strict=True)])


def log_moments(weights: Sequence[Tensor]) -> LogMoments:
    """The moments of ln|θ|, each tensor relative to its own root mean square.

    Raises:
        ValueError: as for `relative`.

    Example:
        >>> theta = torch.tensor([1.0, -1.0, 4.0, -4.0])  # two values of ln|θ|, ln 4 apart
        >>> moments = log_moments([theta])
        >>> round(moments.sd, 4), moments.near_zero, round(moments.kurtosis, 4)
        (0.6931, 0.0, -2.0)
    """
    size = relative(weights)
    x = size[size > 0].log()
    centred = x - x.mean()
    sd = centred.square().mean().sqrt()
    equal = sd <= 1e-12 * (1 + x.mean().abs())  # then skewness would be that of rounding errors
    z = centred / (sd if not equal else torch.nan)
    return LogMoments(
        n=len(size),
        zeros=(size == 0).double().mean().item(),
        near_zero=(size < NEAR_ZERO).double().mean().item(),
        mean=x.mean().item(),
        sd=sd.item(),
        skew=z.pow(3).mean().item(),
        kurtosis=z.pow(4).mean().item() - 3,
    )
