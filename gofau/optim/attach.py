"""An update rule for an optimizer that is not gofau's, through torch's own step hooks."""

from typing import Any

import torch
from torch.optim import Optimizer

from gofau.optim.hooks import Attached, attached
from gofau.optim.hyperparameters import ETA_IN, ETA_OUT, GAMMA
from gofau.optim.optimizer import RuleOptimizer
from gofau.optim.rules import Scalar, get_rule


def attach(
    optimizer: Optimizer,
    rule: str = "hybrid",
    eta_in: Scalar = ETA_IN.default,
    eta_out: Scalar | None = ETA_OUT.default,
    gamma: Scalar = GAMMA.default,
    zero_init: str = "additive",
    *,
    decoupled_weight_decay: bool | None = None,
    **rule_options: Any,
) -> Attached:
    """Give any ``torch.optim.Optimizer``, third-party and fused ones too, an update rule.

    Before each step the parameters with gradients are copied; after it u is recovered from the step
    the optimizer took, and the rule is applied to that::

        u = θ_before − θ_after          θ = θ_before − ξ(θ_before, u)

    No wrapper: the optimizer stays the object it was, with its state, ``state_dict``, schedulers,
    ``GradScaler``, closures and gradient accumulation. A step that a scaler skips changes nothing.
    ``handle.remove()``, or leaving ``with attach(…):``, undoes all of it.

    **Accuracy.** u has passed through the rounding of the weights: |error| ≤ ulp(θ)/2, that is
    2⁻²⁴·|θ| in float32 and 2⁻⁸·|θ|/2 in bfloat16, beside the rounding of the subtraction itself
    (none while |u| ≤ |θ|/2). A u below ulp(θ)/2 is lost: no weight moves, as it would not have
    moved without the rule. gofau's own optimizers compute u and lose nothing.
    With ``rule="additive"`` the parameters are left as the optimizer made them, bit for bit.

    **Where the settings live.** In ``optimizer.param_groups`` under ``gofau_rule``,
    ``gofau_eta_in``, ``gofau_eta_out``, ``gofau_gamma``, ``gofau_zero_init`` and
    ``gofau_decoupled_weight_decay``: prefixed, for RMSprop and ASGD have an ``alpha`` of their own.
    Schedulers and users drive them there, and they travel in the ``state_dict``, with
    ``gofau_zero_start``, which remembers the tensors that began at zero. What a group already says
    (given as it was made, or loaded) is kept, as with any default of torch's. A ``state_dict`` from
    before the attachment can be loaded, and the other way round.

    **Copies.** ``copy.deepcopy`` and ``pickle`` of an optimizer drop its hooks: torch's way. The
    copy steps without the rule, but still says which it had: ``attach(copy)`` goes on with it.

    **Weight decay.** The decoupled kind is kept out of the rule, which is given θ·(1 − lr·λ) for
    θ_before, in torch's AdamW, Muon and Adafactor, and in Adam, NAdam and RAdam with
    ``decoupled_weight_decay``. Of others nobody can tell from outside: say
    ``decoupled_weight_decay=True`` for an optimizer that first multiplies θ by
    (1 − lr·weight_decay), as Lion does; else its decay is a part of u. The L2 kind always is.

    **Memory and time.** One copy of the parameters. Elementwise work like the optimizer's own.

    An optimizer that keeps weights of its own (averages, float32 masters of half-precision weights)
    goes on from its own step, not from the rule's; torch's LBFGS, which reads its curvature off
    them, is refused. Sparse gradients work: where there is no gradient u is 0, and so is ξ.

    Args:
        optimizer: whose step is to be changed.
        rule, eta_in, eta_out, alpha, zero_init: see `gofau.optim.bases`.
        decoupled_weight_decay: see above; None recognises torch's own.
        rule_options: hyperparameters of a registered rule that it alone has.

    Returns:
        The handle.

    Raises:
        ValueError: a setting is out of range; the optimizer already has a rule, its own or an
            attached one; it is LBFGS, or differentiable, or runs no step hooks; or a parameter is
            complex.
        TypeError: not an optimizer, or an option that the rule does not have.

    Example:
        >>> model = torch.nn.Linear(4, 2)
        >>> optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        >>> handle = attach(optimizer, rule="hybrid", gamma=0.5)
        >>> model(torch.ones(3, 4)).square().mean().backward()
        >>> optimizer.step()
        >>> optimizer.param_groups[0]["gofau_eta_out"] = 0.05
        >>> handle.remove()
    """
    _refuse(optimizer)
    defaults: dict[str, Any] = {"rule": rule, "eta_in": eta_in, "eta_out": eta_out, "gamma": gamma}
    defaults |= {"zero_init": zero_init, "decoupled_weight_decay": decoupled_weight_decay}
    options = get_rule(rule).options(rule_options, defaults)
    return Attached(optimizer, defaults | options)


def _refuse(optimizer: Optimizer) -> None:
    """Say in one sentence why an optimizer cannot have a rule, where it cannot."""
    name = type(optimizer).__name__
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"attach needs a torch.optim.Optimizer, got {name}")
    if attached(optimizer) is not None:
        raise ValueError(f"{name} already has a rule attached: remove() that handle first")
    if isinstance(optimizer, torch.optim.LBFGS):
        raise ValueError("LBFGS reads its curvature off its own steps: a rule would falsify it")
    if not getattr(type(optimizer).step, "hooked", False):
        raise ValueError(f"{name}.step runs no step hooks: attach to the optimizer it wraps")
    if optimizer.defaults.get("differentiable"):
        raise ValueError(f"{name} is differentiable, and no gradient can flow through a hook")
    if isinstance(optimizer, RuleOptimizer):
        own = sorted({str(group["rule"]) for group in optimizer.param_groups} - {"additive"})
        if own:
            raise ValueError(f"{name} has a rule of its own, '{own[0]}': set rule=… there")
