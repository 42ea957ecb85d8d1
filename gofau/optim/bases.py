"""SGD, Adagrad, RMSprop, Adam and AdamW: torch's optimizers, with a choice of update rule.

Each takes torch's own arguments first, in torch's order, with torch's defaults and meaning; nothing
changes until a rule is asked for. These, keyword only, are added to all five:

``rule`` ("additive")
    "additive", "multiplicative", "hybrid", "exponential", "power", or a registered one of your own.
``eta_in``, ``eta_out``, ``gamma``
    η_in, η_out and γ of the rules that have them (`gofau.optim.hyperparameters`). ``eta_out=None``
    means η_out = η, so that one number and every scheduler of it drives every rule alike.
``zero_init`` ("additive")
    what tensors get that are all zero at the start, where the rule could never move them: the
    additive rule, or "freeze", the literal reading.
``rule_options``
    hyperparameters that a registered rule alone has.

All of it lives in ``param_groups``, to be set per group or driven by a schedule. A hyperparameter
out of its range, or a complex parameter, is a ValueError in one sentence, a sparse gradient a
RuntimeError. Beyond torch's: bfloat16 and float16 are stepped in float32 and rounded once on every
path, as torch does in its fused optimizers alone; SGD and Adagrad have ``capturable``, RMSprop has
``fused``. `optim.execution.dispatch` tells how a step is carried out; the result is the same.

    >>> import torch, gofau.optim
    >>> model = torch.nn.Linear(4, 2)
    >>> optimizer = gofau.optim.Adam(model.parameters(), lr=1e-3, rule="hybrid", gamma=0.3)
    >>> model(torch.ones(3, 4)).square().mean().backward()
    >>> optimizer.step()

Sources: arXiv 2307.07189 for the framework and its rules, arXiv 2006.14560 for the exponential one.
"""

from typing import Any

from gofau.optim import directions
from gofau.optim.hyperparameters import ETA_IN, ETA_OUT, GAMMA
from gofau.optim.optimizer import Params, RuleOptimizer
from gofau.optim.rules import Scalar
from gofau.optim.update import begin


class SGD(RuleOptimizer):
    """Stochastic gradient descent: d_t = g_t, or the momentum buffer, dampening and Nesterov as in
    torch.optim.SGD.

    Args:
        params: parameters, named parameters, or dicts that define groups.
        lr: η ≥ 0, the learning rate; a number or a tensor of one element.
        momentum: μ ≥ 0.
        dampening: of the gradient as it enters the buffer.
        weight_decay: λ ≥ 0, added to the gradient as λ·θ, through the rule.
        nesterov: needs momentum > 0 and dampening 0.
        maximize: ascend instead of descend.
        foreach, fused: how many tensors are stepped at once, see
            `gofau.optim.execution.dispatch`. None leaves the choice to the number of parameters.
        differentiable: let autograd see the step, as in torch. Not with foreach or fused.
        capturable: keep the step counter on the device, so that a CUDA graph can capture a step.
        rule and what follows: see `gofau.optim.bases`.
    """

    direction = directions.SGD()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: Scalar = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
        capturable: bool = False,
        rule: str = "additive",
        eta_in: Scalar = ETA_IN.default,
        eta_out: Scalar | None = ETA_OUT.default,
        gamma: Scalar = GAMMA.default,
        zero_init: str = "additive",
        **rule_options: Any,
    ) -> None:
        super().__init__(params, _hyperparameters(locals()), rule_options)


class Adagrad(RuleOptimizer):
    """d_t = g_t / ((1 + (t − 1)·lr_decay) · (√Σg² + ε)), as in torch.optim.Adagrad.

    Args:
        params, lr, weight_decay, foreach and what follows: as in `SGD`.
        lr_decay: ≥ 0, shrinks the steps as 1 / (1 + (t − 1)·lr_decay).
        initial_accumulator_value: ≥ 0, what Σg² starts from.
        eps: ε ≥ 0.
    """

    direction = directions.Adagrad()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        capturable: bool = False,
        rule: str = "additive",
        eta_in: Scalar = ETA_IN.default,
        eta_out: Scalar | None = ETA_OUT.default,
        gamma: Scalar = GAMMA.default,
        zero_init: str = "additive",
        **rule_options: Any,
    ) -> None:
        super().__init__(params, _hyperparameters(locals()), rule_options)
        for group in self.param_groups:  # as in torch: its state is there before the first step
            for p in group["params"]:
                begin(self.direction, p, self.state[p], group)

    def share_memory(self) -> None:
        """Move the state into shared memory, as in torch: for processes that step together."""
        for state in self.state.values():
            state["sum"].share_memory_()


class RMSprop(RuleOptimizer):
    """d_t = g_t / (√v_t + ε), v_t the running mean of g²; momentum and centered as in
    torch.optim.RMSprop.

    Args:
        params, lr, weight_decay, foreach and what follows: as in `SGD`.
        alpha: α ≥ 0, the decay of the running means.
        eps: ε ≥ 0.
        momentum: μ ≥ 0, accumulates the normalised gradient.
        centered: subtract the square of the gradient's running mean from v_t.
    """

    direction = directions.RMSprop()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        *,
        fused: bool | None = None,
        rule: str = "additive",
        eta_in: Scalar = ETA_IN.default,
        eta_out: Scalar | None = ETA_OUT.default,
        gamma: Scalar = GAMMA.default,
        zero_init: str = "additive",
        **rule_options: Any,
    ) -> None:
        super().__init__(params, _hyperparameters(locals()), rule_options)


class Adam(RuleOptimizer):
    """d_t = m̂_t / (√v̂_t + ε), as in torch.optim.Adam.

    Args:
        params, lr, weight_decay, foreach and what follows: as in `SGD`.
        betas: (β1, β2), each in [0, 1), the decays of the two moments.
        eps, amsgrad: ε ≥ 0; use the running maximum of v̂.
        decoupled_weight_decay: multiply θ by (1 − η·λ) before the step, outside the rule: `AdamW`.
    """

    direction = directions.Adam()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-3,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
        rule: str = "additive",
        eta_in: Scalar = ETA_IN.default,
        eta_out: Scalar | None = ETA_OUT.default,
        gamma: Scalar = GAMMA.default,
        zero_init: str = "additive",
        **rule_options: Any,
    ) -> None:
        super().__init__(params, _hyperparameters(locals()), rule_options)


class AdamW(RuleOptimizer):
    """Adam with decoupled weight decay, as in torch.optim.AdamW: θ is multiplied by (1 − η·λ),
    outside the rule, before the step.

    Args:
        weight_decay: λ ≥ 0; 0.01 unless told, as in torch.
        params and all else: as in `Adam`.
    """

    direction = directions.Adam()

    def __init__(
        self,
        params: Params,
        lr: Scalar = 1e-3,
        betas: tuple[Scalar, Scalar] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        rule: str = "additive",
        eta_in: Scalar = ETA_IN.default,
        eta_out: Scalar | None = ETA_OUT.default,
        gamma: Scalar = GAMMA.default,
        zero_init: str = "additive",
        **rule_options: Any,
    ) -> None:
        hyperparameters = _hyperparameters(locals()) | {"decoupled_weight_decay": True}
        super().__init__(params, hyperparameters, rule_options)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # as in torch, which loads the state of an Adam here too
            group["decoupled_weight_decay"] = True


def _hyperparameters(arguments: dict[str, Any]) -> dict[str, Any]:
    """A constructor's ``locals()`` less what is no hyperparameter: what goes into param_groups."""
    left_out = ("self", "__class__", "params", "rule_options")
    return {name: value for name, value in arguments.items() if name not in left_out}
