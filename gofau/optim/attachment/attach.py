"""`attach`: an update rule for an optimizer that is not gofau's, through torch's step hooks."""

from typing import Any

import torch
from torch.optim import Optimizer

from gofau.optim.attachment.handle import Attached, attached
from gofau.optim.attachment.settings import refuse_own_rule
from gofau.optim.group_keys import parts_of
from gofau.optim.hyperparameters import ETA_IN, ETA_OUT, GAMMA, own_options
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
    """Apply an update rule to the steps of any ``torch.optim.Optimizer``, also third-party and
    fused ones.

    Before each step the parameters with gradients are copied. After it d is recovered from the step
    that the optimizer took, and the rule is applied to d; η is the present ``lr`` of the group::

        d = (θ_before − θ_after) / η        θ = θ_before − ξ(θ_before, d; η)

    If a group has no ``lr``, or it is 0 or not a number, η is 1 and d is the optimizer's whole
    step.

    There is no wrapper: the optimizer remains the same object, with its state, ``state_dict``,
    schedulers, ``GradScaler``, closures and gradient accumulation. A step that a scaler skips
    changes nothing. ``handle.remove()``, or leaving ``with attach(…):``, undoes everything. Other
    step hooks see whole steps, whenever they were registered: pre-hooks run before θ is copied,
    post-hooks (such as an EMA) after the rule.

    **Accuracy.** d contains the rounding of the weights: the error of η·d is ≤ ulp(θ)/2, so that of
    d is ≤ ulp(θ)/(2η), with ulp(θ) ≤ 2⁻²³·|θ| in float32 and ≤ 2⁻⁷·|θ| in bfloat16. A step below
    ulp(θ)/2 is lost, as it would be without the rule; with a small η and a large η_in, d can be
    mostly rounding error. gofau's own optimizers compute d and lose nothing. With
    ``rule="additive"`` and the base's own step size the parameters stay as the optimizer left them,
    bit for bit. At lr = 0 an optimizer takes no step, and no rule changes that.

    **Step size.** It is given the recovered d and θ_before, as in gofau's own optimizers; with
    ``rule="additive", stepsize="trust_ratio"`` any optimizer takes layer-wise normalised steps. A
    step size that keeps a state, or needs the loss or curvature, works only in gofau's optimizers,
    and so does a ``post_step``: after the step of another optimizer the gradient may have changed.

    **Settings.** They are in ``optimizer.param_groups`` as ``gofau_rule``, ``gofau_stepsize``,
    ``gofau_eta_in``, ``gofau_eta_out``, ``gofau_gamma``, ``gofau_zero_init`` and
    ``gofau_decoupled_weight_decay``; the prefix is there because a group may have its own
    ``gamma``. Schedulers and users can change them there. The ``state_dict`` contains them, and
    ``gofau_zero_start``, which stores the tensors that were all zero at the start, in the order of
    the group's parameters. Values that a group already has (given when it was made, or loaded) are
    kept, as with any default in torch. A ``state_dict`` from before the attachment can be loaded
    after it, and the reverse. Parameters and groups can be added, removed and reordered.

    **Copies.** ``copy.deepcopy`` and ``pickle`` drop the hooks of an optimizer, as torch defines.
    The copy steps without the rule, but keeps the settings: ``attach(copy)`` continues with them.

    **Weight decay.** Decoupled weight decay stays outside the rule: θ·(1 − lr·λ) takes the place of
    θ_before. It is recognised in torch's AdamW, Muon and Adafactor, in Adam, NAdam and RAdam with
    ``decoupled_weight_decay``, and in gofau's own optimizers. In others it cannot be recognised:
    pass ``decoupled_weight_decay=True`` for an optimizer that first multiplies θ by
    (1 − lr·weight_decay), as Lion does; otherwise its decay is a part of d. L2 decay always is.

    **Memory and time.** One copy of the parameters. Elementwise work like the optimizer's own.

    **Refused optimizers.** One that wraps another (SAM, Lookahead): attach to the inner one, and
    each of its steps has the rule. One that moves weights outside ``step``, by methods like
    ``first_step`` or ``fused_backward``. One with ``train()`` and ``eval()`` (schedule-free): it
    evaluates weights to which no rule was applied. torch's LBFGS, which computes its curvature from
    its steps. Not refused: an optimizer that keeps its own weights in other ways (averages, float32
    masters of half-precision weights); it continues from its own step, not from the rule's.

    Sparse gradients work: where there is no gradient d is 0, and so is ξ.

    Args:
        optimizer: the optimizer whose steps are changed.
        rule, stepsize, eta_in, eta_out, gamma, zero_init: see `gofau.optim.bases`.
        decoupled_weight_decay: see above; None recognises torch's and gofau's own optimizers.
        rule_options: hyperparameters of registered rules and step sizes that are not listed here.

    Returns:
        The handle.

    Raises:
        ValueError: a setting is out of range; the step size needs more than d; a post step is asked
            for; the optimizer already has a rule, its own or an attached one, or a post step; it is
            refused (see above), is differentiable, or runs no step hooks; or a parameter is
            complex. If one of gofau's optimizers later gets its own rule or a post step, the next
            step raises a ValueError and changes nothing.
        TypeError: not an optimizer, or an option that neither the rule nor the step size has.

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
    if "post_step" in rule_options:
        raise ValueError(
            "attach has no post_step: it needs the gradient, which the optimizer's step may change;"
            " use one of gofau's optimizers"
        )
    defaults: dict[str, Any] = {"rule": rule, "eta_in": eta_in, "eta_out": eta_out, "gamma": gamma}
    defaults |= {"stepsize": stepsize, "zero_init": zero_init}
    defaults["decoupled_weight_decay"] = decoupled_weight_decay
    options = own_options(parts_of(defaults), rule_options, defaults)
    return Attached(optimizer, defaults | options)


BYPASSES = ("first_step", "second_step", "fused_backward")
"""Methods of third-party optimizers that move weights without running the step hooks."""


def _refuse(optimizer: Any) -> None:
    """Raise an error with the reason if an optimizer cannot have a rule."""
    name = type(optimizer).__name__
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"attach needs a torch.optim.Optimizer, got {name}")
    if attached(optimizer) is not None:
        raise ValueError(f"{name} already has a rule attached: remove() that handle first")
    inner = _wrapped(optimizer)
    if inner is not None:
        raise ValueError(f"{name} wraps another optimizer: attach to that one, its .{inner}")
    if isinstance(optimizer, torch.optim.LBFGS):
        raise ValueError("LBFGS computes its curvature from its steps: a rule would falsify it")
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
    """The attribute in which an optimizer holds another, as Python code; None if there is none."""
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
