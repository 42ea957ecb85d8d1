"""Step sizes per layer from the curvature along the direction: no learning rate to tune."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

from gofau.optim.checks import DECAY_RATE, Interval
from gofau.optim.hyperparameters import FINITE_POSITIVE, Hyperparameter
from gofau.optim.stepsize import Evidence, Layer, StepSize, register_stepsize

AVERAGES = ("slope", "curvature", "settled")
"""Names in the state: the averages of numerator and curvature, and 1 − βᵗ."""
FINITE_NOT_NEGATIVE = Interval(0, open_high=True)


class LayerwiseStepSize(StepSize):
    """What `Layerwise` and `LayerwiseExact` share: everything except how H·v is computed."""

    role = "eta"
    scope = "group"
    hyperparameters = (
        Hyperparameter(
            *("damping", "λ", 1.0, FINITE_NOT_NEGATIVE),
            meaning="weight of the group's mean curvature beside the layer's own",
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
        # The seed is in the upper bits and the count in the lower, so that seeds share no signs.
        state: dict[str, Any] = {"signs": torch.initial_seed() << 32}
        for name in AVERAGES:
            state[name] = p.new_zeros((), dtype=torch.promote_types(p.dtype, torch.float32))
        return state

    def __call__(
        self, layers: Sequence[Layer], group: dict[str, Any], evidence: Evidence
    ) -> Sequence[Tensor]:
        bends = _damped(layers, self.curvatures(layers, group, evidence), group["damping"])
        return [group["lr"] * _size(x, c, group) for x, c in zip(layers, bends, strict=True)]

    def curvatures(
        self, layers: Sequence[Layer], group: dict[str, Any], evidence: Evidence
    ) -> list[Tensor]:
        """Estimate d_ℓᵀH_ℓℓd_ℓ of every layer with the next signs; unbiased over the signs."""
        signs = [_next_sign(place, layer.state) for place, layer in enumerate(layers)]
        vectors = [sign * layer.d for sign, layer in zip(signs, layers, strict=True)]
        products = self.products(vectors, layers, group, evidence)
        return [(v * hv.to(v.dtype)).sum() for v, hv in zip(vectors, products, strict=True)]

    @abstractmethod
    def products(
        self,
        vectors: Sequence[Tensor],
        layers: Sequence[Layer],
        group: dict[str, Any],
        evidence: Evidence,
    ) -> Sequence[Tensor]:
        """H·v, for v as one vector per layer; the other arguments are those of the step size."""


@register_stepsize("layerwise")
class Layerwise(LayerwiseStepSize):
    """s = lr · gᵀd / mean(|dᵀHd|, κ·‖d‖²) per tensor, which takes the place of η. Source:
    Bahamou, Goldfarb, *Layer-wise adaptive step-sizes for stochastic first-order methods for deep
    learning*, arXiv 2305.13664. Its full text was not at hand: the formula is our reading of it.

    For layer ℓ, with its gradient g_ℓ, the base's direction d_ℓ (m·l) and the diagonal block H_ℓℓ
    of the Hessian of the closure's loss, at step t = 1, 2, …::

        κ   = Σ_k |d_kᵀH_kkd_k| / Σ_k ‖d_k‖², over the layers k of the group
        q_ℓ = (|d_ℓᵀH_ℓℓd_ℓ| + damping·κ·‖d_ℓ‖²) / (1 + damping)
        a_ℓ ← β·a_ℓ + (1 − β)·g_ℓᵀd_ℓ
        c_ℓ ← β·c_ℓ + (1 − β)·q_ℓ
        l_ℓ = a_ℓ / (c_ℓ / (1 − βᵗ)), clipped to [0, l_max];    s_ℓ = lr · l_ℓ

    Without damping and smoothing l is the exact line search of a quadratic along d_ℓ. It has the
    unit of a learning rate: that of θ over that of d. A layer is one parameter tensor (*our
    reading*; a bias has a step size of its own), and H is that over the layers of one param group.

    Two things are ours and not the paper's; experiments/layerwise/README.md says what they change.

    - *Damping is relative.* A term damping·‖d‖² of a fixed size, as usual, is a curvature: it
      decides alone where the loss is flat (an error averaged over pixels), and does nothing where
      the loss is steep. Here a layer's curvature is drawn towards κ, the mean of its group: with
      damping 1 it counts half. So the step does not depend on the unit of the loss or of d.
    - *A warm-up.* Both averages start at 0, and only that of the curvature is corrected for it. So
      the first step has 1 − β of its length, and all of it is there after some 1 / (1 − β) steps.
      In the first steps the quadratic model is at its worst: curvature is small or negative where
      the network is still far from any fit.

    One product H·v per step and group gives all blocks: with independent random signs σ_ℓ per
    layer, E[σ_ℓ·(H(σ∘d))_ℓ] = H_ℓℓd_ℓ, as the cross terms average out. The average
    is of absolute values, so the noise of the cross terms makes c larger on average, and steps
    shorter. The product is a difference of gradients on the same examples (*our reading*)::

        H·v ≈ (g(θ + r·v) − g(θ)) / r,    r = radius·‖θ‖/‖v‖, norms over the group

    It costs one more gradient; the second backward pass of `LayerwiseExact` costs several. It sees
    the kinks of ReLU, which a second derivative does not. The default radius suits float32
    weights, under autocast as well; weights in bfloat16 need about 0.01, or it is lost in rounding.

    The signs are a hash of torch's seed (``torch.initial_seed()`` when the tensor is first
    stepped), of the layer's place and of its count of steps. Seed and count are in the state, so a
    resumed run draws the same ones; no random numbers of torch are used up.

    - Negative curvature counts by its absolute value: the loss bends as fast, only the other way.
      Where the curvature of one layer vanishes that of the others is left.
    - A direction that points up on average, a < 0, gives l = 0: the layer waits. So it does where
      c = 0: before the first gradient that is not zero, or where the loss is linear.
    - A step with an estimate that is not finite is left out of the averages.
    - ``maximize`` changes the sign of g. Weight decay is not part of g or H; L2 decay is part of d,
      and decoupled decay is scaled by s.

    How to use it: ``lr=1`` (constructors have torch's default, 0.001), which a schedule takes down
    from there, and a closure as L-BFGS wants one: it computes the gradients and returns the loss.
    It is called twice per step, the second time with the weights moved and with the same random
    numbers; what else it does, such as BatchNorm's running statistics, it does twice. (gofau's
    trainer leaves buffers as the first call did.) Several processes need the same seed of torch.

    Use a schedule that ends at 0, such as a cosine: near a minimum the curvature along d falls, and
    the step size grows. Under the multiplicative rule l is the largest relative change: an
    ``l_max`` below 1 keeps signs.

    Cost: one more gradient per step, so about twice the time of a plain step. Memory during a step:
    one more copy of the weights, their shifts and the gradients. State: four numbers per tensor.

    Example:
        >>> from gofau.optim import SGD
        >>> w = torch.tensor([3.0, -4.0], requires_grad=True)
        >>> optimizer = SGD([w], lr=1, stepsize="layerwise", smoothing=0.5)
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = (5 * w.square()).sum()
        ...     loss.backward()
        ...     return loss
        >>> optimizer.step(closure)
        tensor(125., grad_fn=<SumBackward0>)
        >>> (w / torch.tensor([3.0, -4.0])).detach().round(decimals=4)  # half of the line search
        tensor([0.5000, 0.5000])
    """

    needs = frozenset({"difference"})
    hyperparameters = (
        *LayerwiseStepSize.hyperparameters,
        Hyperparameter(
            *("radius", "ρ", 1e-3, FINITE_POSITIVE),
            meaning="how far from the weights curvature is measured, per ‖θ‖",
        ),
    )

    def products(
        self,
        vectors: Sequence[Tensor],
        layers: Sequence[Layer],
        group: dict[str, Any],
        evidence: Evidence,
    ) -> Sequence[Tensor]:
        assert evidence.difference is not None  # the optimizer sees to that
        theta, length = _norm(layer.theta for layer in layers), _norm(vectors)
        reach = group["radius"] * torch.where(theta > 0, theta, 1)
        step = torch.where(length > 0, reach / length, 0)
        changes = evidence.difference([step * v for v in vectors])
        back = length / reach  # 0 where there is nowhere to go
        return [back * change.to(v.dtype) for change, v in zip(changes, vectors, strict=True)]


@register_stepsize("layerwise_exact")
class LayerwiseExact(LayerwiseStepSize):
    """s = lr · gᵀd / mean(|dᵀHd|, κ·‖d‖²) per tensor, with second derivatives; see `Layerwise`.

    H·v is computed by a second backward pass through the first one. The closure returns the loss
    and does not call ``backward()``. Every operation of the model needs a second derivative;
    torch's fused attention and compiled models have none. It costs several times as much as the
    difference, needs the memory of both graphs, and does not see the curvature in the kinks of
    ReLU. It is the reference that `Layerwise` is tested against.

    Example:
        >>> from gofau.optim import SGD
        >>> w = torch.tensor([3.0, -4.0], requires_grad=True)
        >>> optimizer = SGD([w], lr=1, stepsize="layerwise_exact", smoothing=0)
        >>> optimizer.step(lambda: (5 * w.square()).sum())
        tensor(125.)
        >>> w.tolist()
        [0.0, 0.0]
    """

    needs = frozenset({"curvature"})

    def products(
        self,
        vectors: Sequence[Tensor],
        layers: Sequence[Layer],
        group: dict[str, Any],
        evidence: Evidence,
    ) -> Sequence[Tensor]:
        assert evidence.hvp is not None  # the optimizer sees to that
        return evidence.hvp(vectors)


def _norm(tensors: Iterable[Tensor]) -> Tensor:
    """The norm of all tensors together."""
    return torch.stack([x.detach().square().sum() for x in tensors]).sum().sqrt()


def _next_sign(place: int, state: dict[str, Any]) -> int:
    """1 or −1, computed on the host: on the device it would be one more transfer per layer."""
    state["signs"] += 1
    digest = blake2b(f"{state['signs']} {place}".encode(), digest_size=1).digest()
    return 1 if digest[0] & 1 else -1


def _damped(
    layers: Sequence[Layer], curvatures: Sequence[Tensor], damping: float | Tensor
) -> Sequence[Tensor]:
    """q of every layer: its own curvature, drawn towards the mean of the group."""
    own = torch.stack([*curvatures]).abs()
    lengths = torch.stack([layer.d.square().sum() for layer in layers])
    whole = lengths.sum()
    mean = own.sum() / torch.where(whole > 0, whole, 1)
    return ((own + damping * mean * lengths) / (1 + damping)).unbind()


def _size(layer: Layer, bend: Tensor, group: dict[str, Any]) -> Tensor:
    """Advance the averages of one layer, and return its l."""
    for name in AVERAGES:  # on loading, torch casts them to the dtype of the weights
        layer.state[name] = layer.state[name].to(bend.dtype)
    a, c, settled = (layer.state[name] for name in AVERAGES)
    slope = (layer.g * layer.d).sum()
    if group["maximize"]:
        slope = -slope
    sound = slope.isfinite() & bend.isfinite()
    new = 1 - group["smoothing"]
    a.lerp_(torch.where(sound, slope, a), new)
    c.lerp_(torch.where(sound, bend, c), new)
    settled.lerp_(torch.where(sound, 1, settled), new)  # 1 − βᵗ over the steps that count
    known = c > 0
    size = torch.where(known, a * settled / torch.where(known, c, 1), 0).clamp(min=0)
    return size if group["l_max"] is None else size.clamp(max=group["l_max"])
