"""SGD, Adagrad, RMSprop, Adam and AdamW: torch's optimizers, with a choice of update rule.

Arguments that torch.optim has mean what they mean there. Those that all five add:

``rule`` ("hybrid")
    "additive", "multiplicative", "hybrid", "exponential", or one of your own (`register_rule`).
``eta_in`` (10.0)
    η_in > 0, the gain inside tanh, in units of 1/u. Multiplicative and hybrid.
``eta_out`` (0.1)
    η_out > 0, the largest relative change of a weight in one step. Multiplicative and hybrid.
``alpha`` (0.5)
    α in [0, 1], the weight of the multiplicative part in hybrid. Our reading of the paper.
``zero_init`` ("additive")
    what tensors get that are all zero at the start: the additive rule, or "freeze", the literal
    reading, under which the multiplicative and exponential rules never move them.

All of it lives in ``param_groups``: schedulers drive ``lr`` (η), and η_in, η_out and α can be
driven or set for each group in the same way. A hyperparameter out of its range is a ValueError in
one sentence. Sparse gradients are a RuntimeError, complex parameters a ValueError.

    >>> import torch, gofau.optim
    >>> model = torch.nn.Linear(4, 2)
    >>> optimizer = gofau.optim.Adam(model.parameters(), lr=1e-3, rule="hybrid", alpha=0.5)
    >>> model(torch.ones(3, 4)).square().mean().backward()
    >>> optimizer.step()

Sources: arXiv 2307.07189 for the framework and its rules, arXiv 2006.14560 for the exponential one.
"""

from typing import Any

from gofau.optim import directions
from gofau.optim.optimizer import Params, RuleOptimizer
from gofau.optim.rules import Scalar


class SGD(RuleOptimizer):
    """Stochastic gradient descent: u_t = η·g_t, or η·(momentum buffer), dampening and Nesterov as
    in torch.optim.SGD. Unlike torch's, ``momentum`` is 0.9 unless told.

    Args:
        params: parameters, named parameters, or dicts that define groups.
        lr: η ≥ 0, the learning rate; a number or a 0-d tensor.
        momentum: μ ≥ 0.
        dampening: of the gradient as it enters the buffer.
        nesterov: needs momentum > 0 and dampening 0.
        weight_decay: λ ≥ 0, added to the gradient as λ·θ, through the rule.
        rule, eta_in, eta_out, alpha, zero_init: see `gofau.optim.bases`.
        maximize: ascend instead of descend.
        foreach, fused: how many tensors are stepped at once, see `gofau.optim.paths`; the result
            is the same to rounding. None leaves the choice to the number of parameters.
        capturable: keep the step counter on the parameters' device, as in torch, so that a CUDA
            graph can capture the step.
        differentiable: let autograd see the step, as in torch. Not with foreach or fused.
        rule_options: hyperparameters of a registered rule that it alone has.
    """

    direction = directions.SGD()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-3,
        momentum: float = 0.9,
        *,
        dampening: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        rule: str = "hybrid",
        eta_in: Scalar = 10.0,
        eta_out: Scalar = 0.1,
        alpha: Scalar = 0.5,
        zero_init: str = "additive",
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        **rule_options: Any,
    ) -> None:
        super().__init__(params, _hyperparameters(locals()), rule_options)


class Adagrad(RuleOptimizer):
    """u_t = η / (1 + (t − 1)·lr_decay) · g_t / (√Σg² + ε), as in torch.optim.Adagrad.

    Args:
        params, lr, weight_decay, maximize, foreach, fused, capturable, differentiable: as in `SGD`.
        lr_decay: ≥ 0, shrinks the step size as 1 / (1 + (t − 1)·lr_decay).
        initial_accumulator_value: ≥ 0, what Σg² starts from.
        eps: ε ≥ 0.
        rule, eta_in, eta_out, alpha, zero_init: see `gofau.optim.bases`.
    """

    direction = directions.Adagrad()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-2,
        *,
        lr_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
        rule: str = "hybrid",
        eta_in: Scalar = 10.0,
        eta_out: Scalar = 0.1,
        alpha: Scalar = 0.5,
        zero_init: str = "additive",
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        **rule_options: Any,
    ) -> None:
        super().__init__(params, _hyperparameters(locals()), rule_options)


class RMSprop(RuleOptimizer):
    """u_t = η · g_t / (√v_t + ε), v_t the running mean of g²; momentum and centered as in
    torch.optim.RMSprop.

    Args:
        params, lr, weight_decay, maximize, foreach, fused, capturable, differentiable: as in `SGD`.
        rho: ρ in [0, 1), the decay of the running means. torch.optim.RMSprop calls it ``alpha``,
            which here, as in all of gofau's optimizers, is the blend of the hybrid rule; ``rho`` is
            torch.optim.Adadelta's name for the same thing.
        momentum: μ ≥ 0, accumulates the normalised gradient.
        centered: subtract the square of the gradient's running mean from v_t.
        eps: ε ≥ 0.
        rule, eta_in, eta_out, alpha, zero_init: see `gofau.optim.bases`.
    """

    direction = directions.RMSprop()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-2,
        momentum: float = 0.0,
        *,
        rho: float = 0.99,
        centered: bool = False,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        rule: str = "hybrid",
        eta_in: Scalar = 10.0,
        eta_out: Scalar = 0.1,
        alpha: Scalar = 0.5,
        zero_init: str = "additive",
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        **rule_options: Any,
    ) -> None:
        super().__init__(params, _hyperparameters(locals()), rule_options)


class Adam(RuleOptimizer):
    """u_t = η · m̂_t / (√v̂_t + ε), as in torch.optim.Adam.

    Args:
        params, lr, weight_decay, maximize, foreach, fused, capturable, differentiable: as in `SGD`.
        betas: (β1, β2), each in [0, 1), the decays of the two moments.
        eps: ε ≥ 0.
        amsgrad: use the running maximum of v̂.
        rule, eta_in, eta_out, alpha, zero_init: see `gofau.optim.bases`.
    """

    direction = directions.Adam()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        *,
        eps: float = 1e-8,
        amsgrad: bool = False,
        weight_decay: float = 0.0,
        rule: str = "hybrid",
        eta_in: Scalar = 10.0,
        eta_out: Scalar = 0.1,
        alpha: Scalar = 0.5,
        zero_init: str = "additive",
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        **rule_options: Any,
    ) -> None:
        super().__init__(params, _hyperparameters(locals()), rule_options)


class AdamW(RuleOptimizer):
    """Adam with decoupled weight decay, as in torch.optim.AdamW: θ is multiplied by (1 − η·λ),
    outside the rule, before the step.

    Args:
        weight_decay: λ ≥ 0; 0.01 unless told, as in torch.
        params, lr, betas, eps, amsgrad, maximize and what follows: as in `Adam`.
        rule, eta_in, eta_out, alpha, zero_init: see `gofau.optim.bases`.
    """

    direction = directions.Adam()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        *,
        eps: float = 1e-8,
        amsgrad: bool = False,
        weight_decay: float = 1e-2,
        rule: str = "hybrid",
        eta_in: Scalar = 10.0,
        eta_out: Scalar = 0.1,
        alpha: Scalar = 0.5,
        zero_init: str = "additive",
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        **rule_options: Any,
    ) -> None:
        hyperparameters = _hyperparameters(locals()) | {"decoupled_weight_decay": True}
        super().__init__(params, hyperparameters, rule_options)


def _hyperparameters(arguments: dict[str, Any]) -> dict[str, Any]:
    """A constructor's ``locals()`` less what is no hyperparameter: what goes into param_groups."""
    left_out = ("self", "__class__", "params", "rule_options")
    return {name: value for name, value in arguments.items() if name not in left_out}
