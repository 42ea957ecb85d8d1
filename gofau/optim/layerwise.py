"""Step sizes per layer from the curvature along the direction: no learning rate to tune."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

from gofau.optim.checks import DECAY_RATE, Interval
from gofau.optim.hyperparameters import FINITE_POSITIVE, Hyperparameter
from gofau.optim.stepsize import Evidence, Layer, StepSize, register_stepsize

FINITE_NOT_NEGATIVE = Interval(0, open_high=True)


@register_stepsize("layerwise")
class Layerwise(StepSize):
    """s = lr · gᵀd / (|dᵀHd| + damping·‖d‖²) per tensor, which takes the place of η. Source:
    Bahamou, Goldfarb, *Layer-wise adaptive step-sizes for stochastic first-order methods for deep
    learning*, arXiv 2305.13664. Its full text was not at hand: the formula is our reading of it.

    For layer ℓ, with its gradient g_ℓ, the base's direction d_ℓ (m·l) and the diagonal block H_ℓℓ
    of the Hessian of the closure's loss::

        a_ℓ ← β·a_ℓ + (1 − β)·g_ℓᵀd_ℓ
        c_ℓ ← β·c_ℓ + (1 − β)·(|d_ℓᵀH_ℓℓd_ℓ| + damping·‖d_ℓ‖²)
        l_ℓ = a_ℓ / c_ℓ, clipped to [0, l_max];    s_ℓ = lr · l_ℓ

    Both averages start at 0 and are corrected for that by the same 1 − βᵗ, which cancels. Without
    damping and smoothing l is the exact line search of a quadratic along d_ℓ. It has the unit of a
    learning rate: that of θ over that of d. A layer is one parameter tensor (*our reading*; a bias
    has a step size of its own), a Hessian is that over the layers of one param group.

    One Hessian-vector product per step and group gives all blocks: with independent random signs
    s_ℓ per layer, E[s_ℓ·(H(s∘d))_ℓ] = H_ℓℓd_ℓ, as the cross terms average out. What is averaged is
    the absolute value of such an estimate, so the noise of the cross terms makes c larger and steps
    shorter, never longer. The signs are a hash of torch's seed (``torch.initial_seed()`` when the
    tensor was first stepped), of the layer's place and of its count of steps. Seed and count are in
    the state, so a resumed run draws the same ones; torch's random numbers are not touched.

    - Negative curvature counts by its absolute value: the loss bends as fast, only the other way.
      Where curvature vanishes damping alone is left, and l ≤ 1/damping for d = g.
    - A direction that points up on average, a < 0, gives l = 0: the layer waits. So it does where
      c = 0: before its first gradient that is not zero, or, with damping 0, where the loss is
      linear.
    - An estimate that is not finite is left out of both averages.
    - ``maximize`` turns g round. Weight decay is part neither of g nor of H; d has it, where it is
      L2, and decoupled decay is by s.

    How to use it: ``lr=1`` (constructors have torch's default, 0.001), which a schedule then takes
    down, and a closure that returns the loss and does not call ``backward()``. Every operation of
    the model needs a second derivative: not torch's fused attention kernels, for example.
    A pilot (digits, small CNN, 8 epochs, 3 seeds, no l_max): times a cosine factor, dampings from
    0.001 to 1 all give 98.6 to 99.3 %, and the untuned 0.1 gives 99.3 (SGD with momentum) and
    99.2 % (Adam's direction) where the best of 7 fixed rates gives 99.2 and 99.3 %. Without a
    schedule a damping of 0.1 falls apart late (88.8 and 95.2 %). Under the multiplicative rule l
    is the largest relative change: an ``l_max`` below 1 keeps signs.

    Cost: a second backward pass through the first one, and its memory: both graphs are alive. State
    of a tensor: two numbers, and one for the signs.

    Example:
        >>> from gofau.optim import SGD
        >>> w = torch.tensor([3.0, -4.0], requires_grad=True)
        >>> optimizer = SGD([w], lr=1, stepsize="layerwise", damping=0)
        >>> optimizer.step(lambda: (5 * w.square()).sum())
        tensor(125.)
        >>> w.tolist()
        [0.0, 0.0]
    """

    role = "eta"
    needs = frozenset({"curvature"})
    hyperparameters = (
        Hyperparameter(
            *("damping", "λ", 0.1, FINITE_NOT_NEGATIVE),
            meaning="added to the curvature, per ‖d‖²",
        ),
        Hyperparameter(
            *("smoothing", "β", 0.95, DECAY_RATE),
            meaning="share of the old in the averages of numerator and curvature",
        ),
        Hyperparameter(
            *("l_max", "l_max", None, FINITE_POSITIVE),
            meaning="largest step size before the factor lr; null: no limit",
        ),
    )

    def init(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        # The count of signs goes on from a place of the seed's own: seeds share no signs.
        state: dict[str, Any] = {"signs": torch.initial_seed() << 32}
        for name in ("slope", "curvature"):
            state[name] = p.new_zeros((), dtype=torch.promote_types(p.dtype, torch.float32))
        return state

    def __call__(
        self, layers: Sequence[Layer], group: dict[str, Any], evidence: Evidence
    ) -> Sequence[Tensor]:
        found = curvatures(layers, evidence)
        return [group["lr"] * _size(x, c, group) for x, c in zip(layers, found, strict=True)]


def curvatures(layers: Sequence[Layer], evidence: Evidence) -> list[Tensor]:
    """An estimate of d_ℓᵀH_ℓℓd_ℓ of every layer, unbiased over the signs; draws the next ones."""
    assert evidence.hvp is not None  # the optimizer sees to that
    signs = [_next_sign(place, layer.state) for place, layer in enumerate(layers)]
    vectors = [sign * layer.d for sign, layer in zip(signs, layers, strict=True)]
    products = evidence.hvp(vectors)
    return [(v * hv.to(v.dtype)).sum() for v, hv in zip(vectors, products, strict=True)]


def _next_sign(place: int, state: dict[str, Any]) -> int:
    """1 or −1. Made on the host: signs on the device would be one more transfer for each layer."""
    state["signs"] += 1
    digest = blake2b(f"{state['signs']} {place}".encode(), digest_size=1).digest()
    return 1 if digest[0] & 1 else -1


def _size(layer: Layer, curvature: Tensor, group: dict[str, Any]) -> Tensor:
    """l of one layer, from averages that are advanced."""
    a, c = layer.state["slope"], layer.state["curvature"]
    slope = (layer.g * layer.d).sum()
    if group["maximize"]:
        slope = -slope
    bend = curvature.abs() + group["damping"] * layer.d.square().sum()
    sound = slope.isfinite() & bend.isfinite()
    a.lerp_(torch.where(sound, slope, a), 1 - group["smoothing"])
    c.lerp_(torch.where(sound, bend, c), 1 - group["smoothing"])
    known = c > 0
    size = torch.where(known, a / torch.where(known, c, 1), 0).clamp(min=0)
    return size if group["l_max"] is None else size.clamp(max=group["l_max"])
