"""Initialisation schemes, applied to any model by name."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import UninitializedParameter

from gofau.errors import UserError, nearest

Fill = Callable[[Tensor, float, torch.Generator | None], Tensor]
"""Fills a weight in place, given the scale and the source of randomness."""


def _kaiming_normal(w: Tensor, scale: float, gen: torch.Generator | None) -> Tensor:
    return nn.init.kaiming_normal_(w, nonlinearity="relu", generator=gen).mul_(scale)


def _kaiming_uniform(w: Tensor, scale: float, gen: torch.Generator | None) -> Tensor:
    return nn.init.kaiming_uniform_(w, nonlinearity="relu", generator=gen).mul_(scale)


def _xavier_normal(w: Tensor, scale: float, gen: torch.Generator | None) -> Tensor:
    return nn.init.xavier_normal_(w, gain=scale, generator=gen)


def _xavier_uniform(w: Tensor, scale: float, gen: torch.Generator | None) -> Tensor:
    return nn.init.xavier_uniform_(w, gain=scale, generator=gen)


def _normal(w: Tensor, scale: float, gen: torch.Generator | None) -> Tensor:
    return nn.init.normal_(w, std=scale, generator=gen)


def _uniform(w: Tensor, scale: float, gen: torch.Generator | None) -> Tensor:
    return nn.init.uniform_(w, -scale, scale, generator=gen)


def _orthogonal(w: Tensor, scale: float, gen: torch.Generator | None) -> Tensor:
    return nn.init.orthogonal_(w, gain=scale, generator=gen)


# Scheme → its function, and the default scale.
_FILLS: dict[str, tuple[Fill, float]] = {
    "kaiming_normal": (_kaiming_normal, 1.0),
    "kaiming_uniform": (_kaiming_uniform, 1.0),
    "xavier_normal": (_xavier_normal, 1.0),
    "xavier_uniform": (_xavier_uniform, 1.0),
    "normal": (_normal, 0.05),
    "uniform": (_uniform, 0.05),
    "orthogonal": (_orthogonal, 1.0),
}
SCHEMES = ("default", *_FILLS)


@dataclass(frozen=True)
class InitReport:
    """What :func:`initialise` did.

    Args:
        scheme: The scheme's name.
        scale: The scale that was used; None for ``default``.
        weights: Number of weight tensors that were filled.
        biases: Number of bias tensors that were set to zero.
    """

    scheme: str
    scale: float | None
    weights: int
    biases: int


def initialise(
    model: nn.Module,
    scheme: str = "default",
    *,
    scale: float | None = None,
    seed: int | None = None,
) -> InitReport:
    """Fill the weights of every linear and convolutional layer by one scheme, in place.

    This concerns ``nn.Linear`` and ``nn.Conv1d`` to ``nn.ConvTranspose3d``, subclasses included:
    their weights are filled and their biases set to zero. Everything else (normalisation layers,
    embeddings, bare parameters) is not changed. The multiplicative rules alone cannot move a tensor
    of zeros, such as these biases: the optimizer's ``zero_init`` says how to treat it.

    With fan_in and fan_out counted as ``torch.nn.init`` counts them (for transposed convolutions
    the two are swapped) and s the scale:

    ==================  ==============================================================  =========
    scheme              weights                                                         default s
    ==================  ==============================================================  =========
    default             untouched, biases too: what the model's constructor made
    kaiming_normal      normal, std = s · √(2 / fan_in)                                 1
    kaiming_uniform     uniform in ±s · √(6 / fan_in)                                   1
    xavier_normal       normal, std = s · √(2 / (fan_in + fan_out))                     1
    xavier_uniform      uniform in ±s · √(6 / (fan_in + fan_out))                       1
    normal              normal, std = s                                                 0.05
    uniform             uniform in ±s, so s is the half-width and std = s / √3          0.05
    orthogonal          W, flattened to (out, rest), has orthogonal rows or columns     1
                        (the fewer of the two) of length s, the gain
    ==================  ==============================================================  =========

    Args:
        model: Any module. One without such layers is not changed, and the report says 0.
        scheme: One of the names above.
        scale: s above, finite and > 0; None for the default.
        seed: Seed of a generator used for this call alone. None draws from torch's global CPU
            generator. Numbers are drawn on the CPU, so a seed gives the same weights on any device.

    Returns:
        The scheme, the scale and the number of tensors touched.

    Raises:
        UserError: The scheme is unknown; the scale is not a finite number > 0, or was given to
            ``default``; a layer's weight holds no numbers yet (lazy, meta device), or is computed
            from other tensors (parametrised). Nothing has been changed then.

    Sources: He et al., arXiv 1502.01852 (kaiming); Glorot, Bengio, AISTATS 2010 (xavier); Saxe,
    McClelland, Ganguli, arXiv 1312.6120 (orthogonal).

    >>> initialise(nn.Linear(4, 3), "normal", scale=0.1, seed=0)
    InitReport(scheme='normal', scale=0.1, weights=1, biases=1)
    """
    if scheme not in SCHEMES:
        raise UserError(
            f"init must be one of {', '.join(SCHEMES)}, not {scheme!r}.{nearest(scheme, SCHEMES)}"
        )
    if scheme == "default":
        if scale is not None:
            raise UserError(f"init 'default' takes no scale, but scale is {scale!r}.")
        return InitReport(scheme, None, weights=0, biases=0)
    fill, usual = _FILLS[scheme]
    used = usual if scale is None else _check_scale(scheme, scale)
    weights, biases = _tensors(model)
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in weights:
            # Drawn on the CPU and copied: the numbers must not depend on the device.
            weight.copy_(fill(_draft(weight), used, generator))
        for bias in biases:
            bias.zero_()
    return InitReport(scheme, used, len(weights), len(biases))


def _draft(weight: Tensor) -> Tensor:
    # At least float32: torch has no QR decomposition, which `orthogonal` needs, in half precision.
    dtype = torch.promote_types(weight.dtype, torch.float32)
    return torch.empty(weight.shape, dtype=dtype, device="cpu")


def _check_scale(scheme: str, scale: object) -> float:
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < math.inf:
        raise UserError(f"init {scheme!r}: scale must be a finite number > 0, not {scale!r}.")
    return float(scale)


def _tensors(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """The weights and the biases to fill, in the model's order; a tied tensor counts once."""
    weights: dict[int, Tensor] = {}
    biases: dict[int, Tensor] = {}
    for name, layer in model.named_modules():
        if not isinstance(layer, nn.Linear | _ConvNd):
            continue
        _check_weight(name, layer)
        weights[id(layer.weight)] = layer.weight
        if layer.bias is not None:
            biases[id(layer.bias)] = layer.bias
    return list(weights.values()), list(biases.values())


def _check_weight(name: str, layer: nn.Linear | _ConvNd) -> None:
    # Filling such a weight would fail, do nothing, or change a copy that is then lost.
    weight = layer.weight
    if not isinstance(weight, nn.Parameter):
        why = "is parametrised; initialise the model before it is"
    elif isinstance(weight, UninitializedParameter) or weight.is_meta:
        why = "holds no numbers yet; initialise the model once it does"
    else:
        return
    raise UserError(f"init: the weight of layer {name!r} ({type(layer).__name__}) {why}.")
