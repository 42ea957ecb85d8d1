"""The base class of gofau's optimizers: combines a direction, a step size and an update rule."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gofau.optim.checks import check_group, plain
from gofau.optim.directions import NONE, Direction, Group, State
from gofau.optim.evidence import Gathered
from gofau.optim.execution import dispatch
from gofau.optim.execution.sizing import Watch, step
from gofau.optim.group_keys import check_changes, filled, parts_of, refuse_misspelt
from gofau.optim.hyperparameters import SHARED, check_own, own_options
from gofau.optim.post_steps import NOTHING, POST_STEPS, after, get_post_step
from gofau.optim.projection import Projection
from gofau.optim.rules import RULES, get_rule
from gofau.optim.stepsize import BASE, STEPSIZES, Evidence, Need, get_stepsize
from gofau.optim.update import Item, begin, rule_of, spares_zeros

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


class RuleOptimizer(Optimizer):
    """The step of all gofau optimizers: θ_t = θ_{t−1} − ξ(θ_{t−1}, m_t·l_t; η, …).

    A subclass sets its ``direction`` and lists its hyperparameters; everything else is here. The
    step of one parameter is in `gofau.optim.update`, the ways to step many parameters are in
    `gofau.optim.execution.dispatch`. The group's ``stepsize`` multiplies l or replaces η
    (`gofau.optim.stepsize`); its ``post_step`` moves the weights once more after the step
    (`gofau.optim.post_steps`).

    L2 ``weight_decay`` is added to the gradient, as in torch, and so passes through the rule. With
    ``decoupled_weight_decay`` in the group (AdamW) θ is first multiplied by (1 − η·λ), outside the
    rule, and the rule is given the decayed weights: torch's order.

    Zero at the start: a weight that is exactly zero never moves under the multiplicative, power and
    exponential rules, so a bias or a normalisation shift would stay frozen. With
    ``zero_init="additive"`` a tensor that is all zero when such a rule first steps it gets the
    additive rule from then on; ``zero_init="freeze"`` follows the paper literally. Tensors of a
    rule that moves zeros, such as the hybrid rule for γ < 1, keep that rule. `rule_counts` returns
    how many parameters each rule updates. The state's ``zero_start`` stores whether a tensor was
    all zero, so a resumed run applies the same rules.
    """

    direction: Direction
    projection: Projection | None = None
    """What brings the weights back into a set after each step."""
    own_rule: bool = False
    """Whether it is direction, step size and rule in one, so that its constructor asks for none."""
    watcher: Watch | None = None
    """Called with every d of the next step, if the step size is not the base's own."""
    on_gradients: tuple[Callable[[Optimizer], Any], ...] = ()
    """Called in order with the optimizer, in a step with a step size that `needs` something, after
    the gradients are computed and before they are used: the place to clip them. The curvature is
    that of the loss, not of what was clipped."""

    def __init__(self, params: Params, defaults: dict[str, Any], options: dict[str, Any]) -> None:
        # Among the options: in the signatures of the bases it would change their fingerprints, and
        # every finished run would count as one of other code.
        options = dict(options)
        defaults = {**defaults, "post_step": options.pop("post_step", "none")}
        parts = parts_of(defaults)
        super().__init__(params, defaults | own_options(parts, options, defaults))  # type: ignore[arg-type]

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group as in torch; ValueError if a hyperparameter is not allowed. Unknown keys are
        kept, as in torch, except for those that look like a misspelt key."""
        refuse_misspelt(param_group.keys() - self.defaults.keys())
        # Unwrapped, because torch's decorator would import the whole compiler (seconds).
        inspect.unwrap(Optimizer.add_param_group)(self, param_group)
        try:
            self._check(self.param_groups[-1])
        except (ValueError, RuntimeError):
            self.param_groups.pop()
            raise
        if self.projection is not None:
            with torch.no_grad():
                for p in self.param_groups[-1]["params"]:
                    self.projection.prepare(p)

    def _check(self, group: Group) -> None:
        check_group(group)
        for h in SHARED.values():  # all of them: the rule of the group may be changed later
            h.check(group[h.name])
        for part in parts_of(group):
            check_own(part, group)
        if self.own_rule and group["post_step"] != "none":
            raise ValueError(f"{type(self).__name__} has a rule of its own: it takes no post_step")
        for p in group["params"]:
            if torch.is_complex(p):
                raise ValueError("complex parameters have no |θ|·tanh(d): use torch.optim for them")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Perform one step; returns the loss of the closure if one is given.

        If ``found_inf`` and ``grad_scale`` are set on the optimizer (torch's GradScaler sets them
        on fused optimizers), they have torch's meaning: the step is skipped if ``found_inf`` is
        above 0, and the gradients are divided by ``grad_scale`` first.

        Args:
            closure: re-evaluates the model and returns the loss, as in torch. Required if a step
                size needs the loss or curvature (`gofau.optim.evidence`).

        Raises:
            RuntimeError: a gradient is sparse, or the closure does not give what the step size
                needs.
            StepRefused: a value of a group is not allowed; nothing is changed.
        """
        if not torch.compiler.is_compiling():
            check_changes(self.__dict__.setdefault("_checked", {}), self.param_groups, self._check)
        loss, gathered, needs = None, None, self.needs
        if needs:
            params = [p for group in self.param_groups for p in group["params"]]
            gathered = Gathered(closure, params, needs)
            loss = gathered.loss
            if self.on_gradients:
                gathered.keep()
            for call in self.on_gradients:
                call(self)
        elif closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            if self._unscaled():
                for group in self.param_groups:
                    items = self._items(group)
                    if items:
                        known = gathered and gathered.evidence([item.p for item in items])
                        self._step(items, plain(group), known)
        return loss

    def _step(self, items: list[Item], settings: Group, known: Evidence | None) -> None:
        """Step a group; then its post step; then the optimizer's projection, so that every step
        ends within its set."""
        left = step(self.direction, settings, items, known, self.watcher, self.projection)
        post_step = get_post_step(settings["post_step"])
        if post_step is not NOTHING:
            again = [Item(item.p, item.g, {}, post_step) for item in items]
            dispatch.step(NONE, settings, again, after)
        if self.projection is not None:
            self.projection(left, settings)

    @property
    def needs(self) -> frozenset[Need]:
        """What the step sizes of the groups ask for beyond gradients: where there is anything,
        ``step`` needs a closure of the kind that `gofau.optim.evidence` describes."""
        some = (get_stepsize(group["stepsize"]).needs for group in self.param_groups)
        return frozenset[Need]().union(*some)

    def _unscaled(self) -> bool:
        """Unscale the gradients; returns False if the step must be skipped."""
        found_inf, scale = getattr(self, "found_inf", None), getattr(self, "grad_scale", None)
        if found_inf is not None and bool(found_inf):
            return False
        if scale is not None:
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.grad.div_(scale)
        return True

    def _items(self, group: Group) -> list[Item]:
        """The items of a group to step: its parameters that have a gradient."""
        items: list[Item] = []
        spares, rule = spares_zeros(group), get_rule(group["rule"])
        stepsize = get_stepsize(group["stepsize"])
        # Without buffers no state is stored, as in torch; a projection keeps its bound there.
        keeps = spares or bool(self.direction.buffers(group)) or self.projection is not None
        for p in group["params"]:
            if p.grad is None:
                continue
            if p.grad.is_sparse:
                raise RuntimeError(f"{type(self).__name__} does not support sparse gradients")
            own = {} if stepsize is BASE else stepsize.init(p, group)
            state: State = self.state[p] if keeps or own else {}  # none without need, as in torch
            begin(self.direction, p, state, group)
            if self.projection is not None:
                self.projection.begin(p, state, group)
            for name, value in own.items():
                state.setdefault(name, value)
            items.append(Item(p, p.grad, state, rule_of(p, state, group) if spares else rule))
        return items

    def rule_counts(self) -> dict[str, dict[str, int]]:
        """The number of tensors and elements that each rule updates, with ``zero_init`` taken into
        account: ``{"multiplicative": {"tensors": 21, "elements": 77232}, "additive": {…}}``."""
        counts: dict[str, dict[str, int]] = {}
        for group in self.param_groups:
            for p in group["params"]:
                rule = rule_of(p, dict(self.state.get(p) or {}), group)
                entry = counts.setdefault(rule.name, {"tensors": 0, "elements": 0})
                entry["tensors"] += 1
                entry["elements"] += p.numel()
        return counts

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state_dict as in torch. One from the torch.optim optimizer of the same name works
        too: what its groups lack (the rule and its hyperparameters) keeps its present value."""
        groups = state_dict["param_groups"]
        if len(groups) == len(self.param_groups):
            pairs = zip(groups, self.param_groups, strict=True)
            state_dict = {**state_dict, "param_groups": [filled(a, b) for a, b in pairs]}
        super().load_state_dict(state_dict)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As in torch; also converts step numbers of old state_dicts, which are plain numbers."""
        super().__setstate__(state)
        self.defaults.setdefault("post_step", "none")
        for group in self.param_groups:
            group.setdefault("stepsize", "base")  # old pickles have no step size
            group.setdefault("post_step", "none")  # and no post step
            on_device = group.get("capturable") or group.get("fused")
            for p in group["params"]:
                own: State = self.state.get(p) or {}
                if "step" in own and not isinstance(own["step"], Tensor):
                    device = p.device if on_device else "cpu"
                    own["step"] = torch.tensor(float(own["step"]), device=device)

    def torch_state_dict(self) -> dict[str, Any]:
        """The state_dict in the form of the torch.optim optimizer of the same name, to continue
        training there. `load_state_dict` is the inverse.

        Raises:
            ValueError: a group has a rule other than the additive one, a step size other than the
                base's own, or a post step: torch has none of them.
        """
        state_dict = self.state_dict()
        own = {"rule", "stepsize", "post_step", "zero_init", *SHARED}
        parts = (*RULES.values(), *STEPSIZES.values(), *POST_STEPS.values())
        own |= {name for part in parts for name in part.own}
        groups: list[Group] = []
        for group in state_dict["param_groups"]:
            if group["rule"] != "additive":
                raise ValueError(f"torch.optim has only the additive rule, not '{group['rule']}'")
            if group["stepsize"] != "base":
                name = group["stepsize"]
                raise ValueError(f"torch.optim has only the base's own step size, not '{name}'")
            if group["post_step"] != "none":
                raise ValueError(f"torch.optim has no post step '{group['post_step']}'")
            groups.append({name: x for name, x in group.items() if name not in own})
        state = {
            index: {k: v for k, v in values.items() if k != "zero_start"}
            for index, values in state_dict["state"].items()
        }
        return {**state_dict, "state": state, "param_groups": groups}
