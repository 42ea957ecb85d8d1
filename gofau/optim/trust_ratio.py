"""The trust ratio of LARS and LAMB: the step of every layer is proportional to its weights."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from gofau.optim.stepsize import Evidence, Layer, StepSize, register_stepsize
from gofau.optim.update import PLAIN


@register_stepsize("trust_ratio")
class TrustRatio(StepSize):
    """s = ‖θ‖ / ‖d‖ per tensor; 1 where either norm is 0 or not finite. Source: LARS,
    arXiv 1708.03888; LAMB, arXiv 1904.00962.

    SGD with momentum and this step size is LARS in the form of the LAMB paper: the ratio is applied
    after the momentum. (The LARS paper applies it before, and has a factor of 0.001, which is a
    part of ``lr`` here.) AdamW with this step size is LAMB except for weight decay: the LAMB paper
    adds λ·θ to the update before it takes the norm; here the decay is decoupled and outside s, and
    ‖θ‖ is taken before it. With Adam and L2 decay λ·θ goes through the moments. Norms are computed
    in float32, and in float64 for float64 tensors.
    """

    def __call__(
        self, layers: Sequence[Layer], group: dict[str, Any], evidence: Evidence
    ) -> Sequence[Tensor]:
        norms = _norms(x.theta for x in layers), _norms(x.d for x in layers)
        kinds = {(x.device, x.dtype) for some in norms for x in some}
        if len(kinds) == 1:  # stacked, all layers together need only a few operations
            return _ratio(*map(torch.stack, norms)).unbind()
        return [_ratio(a, b) for a, b in zip(*norms, strict=True)]


def _norms(tensors: Iterable[Tensor]) -> list[Tensor]:
    some = list(tensors)
    if all(type(x) in PLAIN for x in some):
        return list(torch._foreach_norm(some))  # type: ignore[attr-defined]
    # The norm of a sharded tensor (DTensor) is that of the whole tensor. Annotated with Any, as
    # torch does not declare the type.
    norm: Callable[[Tensor], Any] = torch.linalg.vector_norm  # type: ignore[reportUnknownMemberType]
    norms: list[Any] = [norm(x) for x in some]
    return [x.full_tensor() if hasattr(x, "full_tensor") else x for x in norms]


def _ratio(theta: Tensor, d: Tensor) -> Tensor:
    sound = (theta > 0) & (d > 0) & theta.isfinite() & d.isfinite()
    # The 1 avoids 0/0 in the branch that is not taken: autograd would make a NaN of it.
    return torch.where(sound, theta / torch.where(sound, d, 1), 1)
