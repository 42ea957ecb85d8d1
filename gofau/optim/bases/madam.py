"""Madam: multiplicative Adam."""

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group, State, counter, zeros
from gofau.optim.group_keys import arguments, fixed
from gofau.optim.optimizer import Params, RuleOptimizer
from gofau.optim.projection import Clamp
from gofau.optim.rules import Scalar


class MadamDirection(Direction):
    """m = ĝ = clip(g / √v̂_t, ±g_bound), v̂ the bias-corrected average of g²; 0/0 counts as 0, and
    l = 1. Source: arXiv 2006.14560."""

    def init(self, p: Tensor, group: Group) -> State:
        return {"step": counter(p, group)} | {name: zeros(p) for name in self.buffers(group)}

    def buffers(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg_sq",)

    def coefficients(self, t: Scalar, group: Group) -> dict[str, Scalar]:
        return {"unbias": (1 - group["beta"] ** t) ** 0.5}

    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | None]:
        beta, bound = group["beta"], group["g_bound"]
        v = state["exp_avg_sq"].mul_(beta).add_((1 - beta) * g * g)
        # The floor makes 0 of 0/0, and keeps gradients that are too small to be squared small.
        root = v.sqrt().clamp(min=torch.finfo(v.dtype).tiny ** 0.5)
        # Clipped in units of the bound: at ±1, which is the same whatever the bound is.
        return bound * (g / root * (group["unbias"] / bound)).clamp(-1, 1), None


class Madam(RuleOptimizer):
    """Madam: normalised direction, exponential rule, and a bound on every weight.

        v_t = β·v_{t−1} + (1 − β)·g_t²
        ĝ_t = clip(g_t / √(v_t / (1 − β^t)), ±g_bound)                 0/0 counts as 0
        θ_t = clip(θ_{t−1} · exp(−η·ĝ_t·sign θ_{t−1}), ±p_scale·rms(θ_0))

    rms(θ_0) is the root mean square of the tensor as its first step finds it (kept in the state, as
    ``theta_rms``). No weight changes its sign. One that is zero among others stays zero.

    **Zero at the start.** A tensor that is all zero has no scale: the bound would be zero for ever.
    ``zero_init="additive"`` steps it by η·ĝ, unclamped; ``zero_init="freeze"`` leaves it as it is.
    (The paper's experiments turn off BatchNorm's affine parameters instead.)

    The rule is Madam's own: it has no ``rule`` and no ``stepsize``. A param group may all the same
    say ``rule``, as ``"additive"`` for biases, and keeps direction and clamp.

    Args:
        params, foreach and what follows: as in `SGD`.
        lr: η ≥ 0, the largest relative change of a weight is about η·g_bound.
        p_scale: > 0, the largest weight in units of rms(θ_0); 1 to 3 is the range worth tuning.
        g_bound: > 0, the largest |ĝ|.
        beta: β in [0, 1), of the average of squared gradients.
        zero_init: "additive" or "freeze".

    Example:
        >>> model = torch.nn.Linear(4, 2)
        >>> optimizer = Madam(model.parameters(), lr=0.01)
        >>> model(torch.ones(3, 4)).square().mean().backward()
        >>> optimizer.step()

    Source: Bernstein et al., *Learning compositional functions via multiplicative weight updates*,
    arXiv 2006.14560. `IntegerMadam` is the same with weights of B bits.
    """

    direction = MadamDirection()
    projection = Clamp()
    own_rule = True

    def __init__(
        self,
        params: Params,
        lr: Scalar = 0.01,
        p_scale: Scalar = 3.0,
        g_bound: Scalar = 10.0,
        beta: Scalar = 0.999,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        zero_init: str = "additive",
    ) -> None:
        super().__init__(params, fixed("exponential") | arguments(locals()), {})
