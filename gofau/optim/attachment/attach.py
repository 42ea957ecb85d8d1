"""An update rule for an optimizer that is not gofau's, through torch's own step hooks."""

from typing import Any

import torch
from torch.optim import Optimizer

from gofau.optim.attachment.handle import Attached, attached
from gofau.optim.attachment.settings import refuse_own_rule
from gofau.optim.hyperparameters import ETA_IN, ETA_OUT, GAMMA, own_options
from gofau.optim.optimizer import parts_of
from gofau.optim.rules import Scalar


def attach(
    optimizer: Optimizer,
    rule: str = "hybrid",
    eta_in: Scalar = ETA_IN.default,
    eta_out: Scalar | None = ETA_OUT.default,
    gamma: Scalar = GAMMA.default,
    zero_init: str = "additive",
    *,
    stepsize: str = "base",
    decoupled_weight_decay: bool | None = None,
    **rule_options: Any,
) -> Attached:
    """Give any ``torch.optim.Optimizer``, third-party and fused ones too, an update rule.

    Before each step the parameters with gradients are copied; after it d is recovered from the step
    that the optimizer took, and the rule is applied to that, with η the ``lr`` of the group today::

        d = (θ_before − θ_after) / η        θ = θ_before − ξ(θ_before, d; η)

    Where a group has no ``lr``, or it is 0 or no number, η is 1 and d the optimizer's whole step.

    No wrapper: the optimizer stays the object it was, with its state, ``state_dict``, schedulers,
    ``GradScaler``, closures and gradient accumulation. A step that a scaler skips changes nothing.
    ``handle.remove()``, or leaving ``with attach(…):``, undoes all of it. Step hooks of others see
    whole steps: pre hooks run before θ is copied, post hooks (an EMA) after the rule, whenever they
    were registered.

    **Accuracy.** d has passed through the rounding of the weights: η·d is off by ≤ ulp(θ)/2, so d
    by ≤ ulp(θ)/(2η), with ulp(θ) ≤ 2⁻²³·|θ| in float32 and ≤ 2⁻⁷·|θ| in bfloat16. A step below
    ulp(θ)/2 is lost, as it would have been without the rule; with a small η and a large η_in what
    is left of d can be mostly rounding. gofau's own optimizers compute d and lose nothing.
    With ``rule="additive"`` and the base's own step size the parameters are left as the optimizer
    made them, bit for bit. At
    lr = 0 an optimizer takes no step, and no rule makes one of it.

    **Step size.** It is given the recovered d, and θ_before, as in gofau's own optimizers; with
    ``rule="additive", stepsize="trust_ratio"`` any optimizer takes layer-wise normalised steps. One
    that keeps a state, or needs the loss or curvature, needs one of gofau's optimizers.

    **Where the settings live.** In ``optimizer.param_groups`` under ``gofau_rule``,
    ``gofau_stepsize``, ``gofau_eta_in``, ``gofau_eta_out``, ``gofau_gamma``, ``gofau_zero_init``
    and ``gofau_decoupled_weight_decay``: prefixed, for a group may have a ``gamma`` of its own.
    Schedulers and users drive them there, and they travel in the ``state_dict``, with
    ``gofau_zero_start``, which remembers the tensors that began at zero, in the order of the
    group's parameters. What a group already says (given as it was made, or loaded) is kept, as with
    any default of torch's. A ``state_dict`` from before the attachment can be loaded, and the other
    way round. Parameters and groups can be added, removed and reordered.

    **Copies.** ``copy.deepcopy`` and ``pickle`` of an optimizer drop its hooks: torch's way. The
    copy steps without the rule, but still says which it had: ``attach(copy)`` goes on with it.

    **Weight decay.** The decoupled kind is kept out of the rule, which is given θ·(1 − lr·λ) for
    θ_before, in torch's AdamW, Muon and Adafactor, in Adam, NAdam and RAdam with
    ``decoupled_weight_decay``, and in gofau's own. Of others nobody can tell from outside: say
    ``decoupled_weight_decay=True`` for an optimizer that first multiplies θ by
    (1 − lr·weight_decay), as Lion does; else its decay is a part of d. The L2 kind always is.

    **Memory and time.** One copy of the parameters. Elementwise work like the optimizer's own.

    **What is refused.** An optimizer that wraps another (SAM, Lookahead): attach to the one inside,
    and every step of that has the rule. One that moves weights outside ``step``, by methods like
    ``first_step`` or ``fused_backward``. One with ``train()`` and ``eval()`` (schedule-free): it
    evaluates weights that no rule has made. torch's LBFGS, which reads its curvature off its steps.
    An optimizer that keeps weights of its own otherwise (averages, float32 masters of
    half-precision weights) goes on from its own step, not from the rule's.

    Sparse gradients work: where there is no gradient d is 0, and so is ξ.

    Args:
        optimizer: whose step is to be changed.
        rule, stepsize, eta_in, eta_out, gamma, zero_init: see `gofau.optim.bases`.
        decoupled_weight_decay: see above; None recognises torch's own and gofau's.
        rule_options: hyperparameters that a registered rule or step size alone has.

    Returns:
        The handle.

    Raises:
        ValueError: a setting is out of range; the step size needs more than d; the optimizer
            already has a rule, its own or an attached one; it is one of those refused, or
            differentiable, or runs no step hooks; or a parameter is complex. A rule of its own that
            one of gofau's optimizers gets later is a ValueError of its next step, which then
            changes nothing.
        TypeError: not an optimizer, or an option that neither rule nor step size has.

    An error leaves the optimizer as it was.

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
    defaults |= {"stepsize": stepsize, "zero_init": zero_init}
    defaults["decoupled_weight_decay"] = decoupled_weight_decay
    options = own_options(parts_of(defaults), rule_options, defaults)
    return Attached(optimizer, defaults | options)


BYPASSES = ("first_step", "second_step", "fused_backward")
"""Methods of third-party optimizers that move weights, and that no step hook sees."""


def _refuse(optimizer: Any) -> None:
    """Say in one sentence why an optimizer cannot have a rule, where it cannot."""
    name = type(optimizer).__name__
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"attach needs a torch.optim.Optimizer, got {name}")
    if attached(optimizer) is not None:
        raise ValueError(f"{name} already has a rule attached: remove() that handle first")
    inner = _wrapped(optimizer)
    if inner is not None:
        raise ValueError(f"{name} wraps another optimizer: attach to that one, its .{inner}")
    if isinstance(optimizer, torch.optim.LBFGS):
        raise ValueError("LBFGS reads its curvature off its own steps: a rule would falsify it")
    if _has(optimizer, "train") or _has(optimizer, "eval"):
        raise ValueError(f"{name} has train() or eval(): it evaluates other weights than it steps")
    for method in BYPASSES:
        if _has(optimizer, method):
            raise ValueError(f"{name}.{method} moves weights, and no step hook sees it")
    if not getattr(type(optimizer).step, "hooked", False):
        raise ValueError(f"{name}.step runs no step hooks")
    if optimizer.defaults.get("differentiable"):
        raise ValueError(f"{name} is differentiable, and no gradient can flow through a hook")
    refuse_own_rule(optimizer)


def _has(optimizer: Optimizer, method: str) -> bool:
    return callable(getattr(optimizer, method, None))


def _wrapped(optimizer: Optimizer) -> str | None:
    """The attribute, as one writes it, in which an optimizer holds another; None if in none."""
    for name, value in vars(optimizer).items():
        if isinstance(value, Optimizer) and value is not optimizer:
            return name
        if isinstance(value, (list, tuple, dict)):
            many: Any = value
            pairs: Any = many.items() if isinstance(value, dict) else enumerate(many)
            for key, x in pairs:
                if isinstance(x, Optimizer) and x is not optimizer:
                    return f"{name}[{key!r}]"
    return None
