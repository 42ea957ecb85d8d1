"""B-bit Madam: training weights that are integers and signs."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gofau.optim.integer import weights
from gofau.optim.integer.checks import check
from gofau.optim.integer.step import advance, scaled_direction
from gofau.optim.optimizer import Params
from gofau.optim.update import all_zero

Group = dict[str, Any]


class IntegerMadam(Optimizer):
    """B-bit Madam: weights are integers in a logarithmic number system, and a step adds to them.

        θ = sign · θ_max · exp(−base_lr · k),   k ∈ {0, …, levels − 1},   θ_max = p_scale · rms(θ_0)

        v_t = β·v_{t−1} + (1 − β)·g_t²
        ĝ_t = clip(g_t / √(v_t / (1 − β^t)), ±g_bound)                         0/0 counts as 0
        k_t = clamp(k_{t−1} + sign · round(lr_factor · ĝ_t), 0, levels − 1)    half to even

    The sign is fixed: no weight crosses zero, and no weight is zero. One step multiplies a weight
    by exp(±base_lr · n), n whole: the learning rate is base_lr · lr_factor.

    **State.** The state holds k (in the smallest integer dtype), the sign and θ_max. These are the
    weights; there is no float copy. The parameters hold the decoded values for the forward pass.
    They are set when the optimizer is made (a weight in range then changes at most by the factor
    exp(±base_lr/2)), at each step and on loading. `state_dict` packs k and sign (12 bits: 13/32 of
    the parameters' float32 bytes). The state also has v, one float32 per weight, like the square
    average of Adam. `packed_weights` returns only the weights. If weights are loaded or changed
    after the optimizer was made, call `from_float`: a step refuses changed parameters (but cannot
    detect a change through ``.data``).

    **The schedule.** ``lr_factor`` is in the param group as ``lr``, so that every torch scheduler
    changes it. Below ``min_lr_factor``, that value is used instead. The paper's settings are 10 to
    16; for CIFAR 16, divided by 4 at each decay, never below 1.

    **Zero at the start.** A tensor that is all zero when it is encoded (a bias, a normalisation
    shift) has no θ_max. ``zero_init="additive"`` keeps it in floats and steps it by
    base_lr · lr_factor · ĝ, unclamped; ``zero_init="freeze"`` does not step it. A zero among other
    values becomes +θ_min.

    Args:
        params: parameters, named parameters, or dicts that define groups; plain dense tensors of
            real floats. Half-precision parameters are stepped in float32.
        base_lr: > 0, the logarithm of the ratio of neighbouring weights.
        lr_factor: ≥ min_lr_factor, integers per unit of ĝ; ``lr`` in the group.
        levels: 2 to 65536; 256, 1024, 4096 and 65536 are 8, 10, 12 and 16 bits, plus the sign.
        p_scale: > 0, θ_max in units of rms(θ_0); the paper: 3 for CIFAR-10, 1 for CIFAR-100.
        g_bound: > 0, the largest |ĝ|.
        beta: β in [0, 1), the decay of the average of squared gradients.
        lr: another name for lr_factor, used if given.
        maximize: step towards a larger loss instead of a smaller one.
        min_lr_factor: ≥ 0, the smallest lr_factor that a schedule can reach.
        init: "encode", the weights of the model, or "random", drawn from torch's global generator.
            `from_float` always encodes.
        zero_init: "additive" or "freeze".
        foreach, fused, capturable, differentiable: refused; there is only one execution path.

    Raises:
        ValueError: an argument is out of range, or a parameter cannot be encoded.
        RuntimeError: in a step, a gradient is sparse, or parameters were changed from outside.

    Example:
        >>> model = torch.nn.Linear(4, 2)
        >>> optimizer = IntegerMadam(model.parameters(), lr_factor=16, levels=1024, base_lr=0.004)
        >>> schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [100, 200], gamma=0.25)
        >>> model(torch.ones(3, 4)).square().mean().backward()
        >>> optimizer.step()
        >>> optimizer.state[model.weight]["k"].dtype
        torch.int16

    Source: Bernstein et al., *Learning compositional functions via multiplicative weight updates*,
    arXiv 2006.14560.
    """

    def __init__(
        self,
        params: Params,
        base_lr: float = 0.001,
        lr_factor: float = 10,
        levels: int = 4096,
        p_scale: float = 3.0,
        g_bound: float = 10.0,
        beta: float = 0.999,
        *,
        lr: float | None = None,
        maximize: bool = False,
        min_lr_factor: float = 1.0,
        init: str = "encode",
        zero_init: str = "additive",
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        given = {k: v for k, v in locals().items() if k not in ("self", "params", "__class__")}
        factor = given.pop("lr_factor")
        given["lr"] = factor if lr is None else lr
        super().__init__(params, given)  # type: ignore[arg-type]

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group as in torch, and encode its parameters. The key ``lr_factor`` is renamed to
        ``lr``. ValueError if a setting or a parameter is not allowed."""
        if "lr_factor" in param_group:
            if "lr" in param_group:
                raise ValueError("lr_factor and lr are one thing here: give a group one of them")
            param_group = dict(param_group)
            param_group["lr"] = param_group.pop("lr_factor")
        # Unwrapped, because torch's decorator would import the whole compiler (seconds).
        inspect.unwrap(Optimizer.add_param_group)(self, param_group)
        group = self.param_groups[-1]
        try:
            check(group)
            ours = [p for p in group["params"] if p.requires_grad]
            for p in ours:
                weights.begin(p, self.state[p], group, group["init"])
            for p in ours:  # only after all could be encoded
                weights.write(p, self.state[p], group)
        except (ValueError, RuntimeError):
            self.param_groups.pop()
            for p in group["params"]:
                self.state.pop(p, None)
            raise

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Perform one step; returns the loss of the closure if one is given, as in torch."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        moved = [(p, p.grad, group) for p, group in self._parameters() if p.grad is not None]
        for p, g, group in moved:  # all checks first: if one fails, no parameter is stepped
            self._ready(p, g, group)
        for p, g, group in moved:
            self._step(p, g, group)
        return loss

    def _ready(self, p: Tensor, g: Tensor, group: Group) -> None:
        if g.is_sparse:
            raise RuntimeError("IntegerMadam does not support sparse gradients")
        state = self.state[p]
        if not state:  # it was frozen (requires_grad=False) when the optimizer was made
            weights.begin(p, state, group, "encode")
            weights.write(p, state, group)
        weights.must_be_ours(p, state, group)

    def _step(self, p: Tensor, g: Tensor, group: Group) -> None:
        state = self.state[p]
        if "k" not in state and group["zero_init"] == "freeze":
            return
        move = scaled_direction(g, state, group)
        if "k" in state:
            advance(p, move, state, group)
        else:
            p.copy_(p - group["base_lr"] * move)
        state["version"] = p._version

    @torch.no_grad()
    def from_float(self) -> None:
        """Encode the present values of the parameters again. Call it after weights were loaded or
        changed. k, sign and θ_max are new; v and the step numbers stay."""
        for p, group in self._parameters():
            if self.state.get(p):
                weights.encode(p, self.state[p], group)
                weights.write(p, self.state[p], group)

    @torch.no_grad()
    def to_float(self) -> None:
        """Set the parameters to the decoded integers, and so undo changes from outside."""
        for p, group in self._parameters():
            if self.state.get(p):
                weights.write(p, self.state[p], group)

    def packed_weights(self) -> dict[str, dict[str, Any]]:
        """The weights in packed form, by parameter name (``param_names``, else "group.index").

        An entry has ``packed``, ``theta_max``, ``base_lr``, ``levels`` and ``shape``, or ``values``
        if the parameter is kept in floats. `gofau.optim.lns.float_weights` decodes them.
        ``torch.load(…, weights_only=True)`` can read a file of them.
        """
        packed = {}
        for i, group in enumerate(self.param_groups):
            for j, p in enumerate(group["params"]):
                name = group["param_names"][j] if "param_names" in group else f"{i}.{j}"
                packed[name] = weights.on_its_own(p, self.state.get(p, {}), group)
        return packed

    def rule_counts(self) -> dict[str, dict[str, int]]:
        """As `RuleOptimizer.rule_counts`: "integer", and "additive" or "frozen" for tensors that
        started at zero."""
        counts: dict[str, dict[str, int]] = {}
        for p, group in self._parameters():
            rest = "frozen" if group["zero_init"] == "freeze" else "additive"
            state = self.state.get(p)
            integer = "k" in state if state else not all_zero(p)
            entry = counts.setdefault("integer" if integer else rest, {"tensors": 0, "elements": 0})
            entry["tensors"] += 1
            entry["elements"] += p.numel()
        return counts

    def _parameters(self) -> list[tuple[Tensor, Group]]:
        return [(p, group) for group in self.param_groups for p in group["params"]]

    def state_dict(self) -> dict[str, Any]:
        """As in torch; k and sign are ``packed``, a flat uint8 tensor per parameter."""
        whole = super().state_dict()
        pairs = self._parameters()  # torch numbers them in this order
        state = {
            i: weights.to_stored(pairs[i][0], own, pairs[i][1]) for i, own in whole["state"].items()
        }
        return {**whole, "state": state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As in torch, and exact; the parameters are set to the loaded weights. ValueError if it is
        not from IntegerMadam, or not for these parameters; then nothing is changed."""
        fresh: dict[Tensor, dict[str, Any]] = {}

        def take(_: Optimizer, given: dict[str, Any]) -> None:
            for theirs, ours in zip(given["param_groups"], self.param_groups, strict=False):
                missing = self.defaults.keys() - theirs.keys()
                if missing:
                    raise ValueError(f"not a state_dict of IntegerMadam: it has no {min(missing)}")
                for i, p in zip(theirs["params"], ours["params"], strict=False):
                    if i in given["state"]:
                        fresh[p] = weights.from_stored(given["state"][i], p, theirs)

        def put(_: Optimizer) -> None:
            self.state.update(fresh)
            self.to_float()

        # torch would turn the integers into floats, so we set them after torch has loaded the
        # state, but before other hooks see the optimizer.
        hooks = [
            self.register_load_state_dict_pre_hook(take),
            self.register_load_state_dict_post_hook(put, prepend=True),
        ]
        try:
            super().load_state_dict(state_dict)
        finally:
            for hook in hooks:
                hook.remove()
