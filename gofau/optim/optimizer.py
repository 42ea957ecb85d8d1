"""The optimizer that joins a direction, a step size and an update rule."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gofau.optim.checks import check_group, one_of
from gofau.optim.directions import Direction, Group
from gofau.optim.paths import step
from gofau.optim.rules import RULES, get_rule
from gofau.optim.update import Item, all_zero, begin, rule_of

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


class RuleOptimizer(Optimizer):
    """θ_t = θ_{t−1} − ξ(θ_{t−1}, m_t·l_t): the step all of gofau's optimizers share.

    A subclass names its ``direction`` and lists its hyperparameters; everything else is here. The
    step of one parameter is in `gofau.optim.update`, the ways to step many in `gofau.optim.paths`.

    L2 ``weight_decay`` is added to the gradient, as in torch, and so passes through the rule. With
    ``decoupled_weight_decay`` in the group (AdamW) θ is first multiplied by (1 − η·λ), outside the
    rule, and the rule sees the decayed weights: torch's order.

    Zero at the start: a weight that is exactly zero never moves under the multiplicative and
    exponential rules, so a bias or a normalisation shift would be frozen for ever. With
    ``zero_init="additive"`` a tensor that is all zero when it is first stepped gets the additive
    rule from then on, whichever rule its group names; ``zero_init="freeze"`` is the literal reading
    of the paper. `rule_counts` tells how many parameters went where. The finding is kept in the
    state as ``zero_start``, so a resumed run goes on as it began.
    """

    direction: Direction

    def __init__(self, params: Params, defaults: dict[str, Any], options: dict[str, Any]) -> None:
        own = get_rule(defaults["rule"]).options(options, defaults)
        super().__init__(params, defaults | own)  # type: ignore[arg-type]

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group as in torch; ValueError in one sentence where a hyperparameter is off."""
        for name in param_group.keys() - {"params", "param_names"} - self.defaults.keys():
            if not any(name in rule.hyperparameters for rule in RULES.values()):
                one_of("a param group's hyperparameter", name, self.defaults)
        # Unwrapped: torch's decorator would import its whole compiler (seconds) for nothing.
        inspect.unwrap(Optimizer.add_param_group)(self, param_group)
        try:
            self._check(self.param_groups[-1])
        except (ValueError, RuntimeError):
            self.param_groups.pop()
            raise

    def _check(self, group: Group) -> None:
        check_group(group)
        rule = get_rule(group["rule"])
        for name in rule.hyperparameters:
            if name not in group:
                raise ValueError(f"rule '{rule.name}' needs the hyperparameter '{name}'")
        for p in group["params"]:
            if torch.is_complex(p):
                raise ValueError("complex parameters have no |θ|·tanh(u): use torch.optim for them")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Perform one step; returns the closure's loss where a closure is given.

        Args:
            closure: re-evaluates the model and returns the loss, as in torch.

        Raises:
            RuntimeError: a gradient is sparse.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            for group in self.param_groups:
                step(self.direction, group, self._items(group))
        return loss

    def _items(self, group: Group) -> list[Item]:
        """What there is to step in a group: the parameters that have a gradient."""
        items = []
        rules = {start: rule_of({"zero_start": start}, group) for start in (False, True)}
        for p in group["params"]:
            if p.grad is None:
                continue
            if p.grad.is_sparse:
                raise RuntimeError(f"{type(self).__name__} does not support sparse gradients")
            state = self.state[p]
            if "zero_start" not in state:
                begin(self.direction, p, state, group)
            items.append(Item(p, p.grad, state, rules[state["zero_start"]]))
        return items

    def rule_counts(self) -> dict[str, dict[str, int]]:
        """How many tensors and elements each rule updates, after ``zero_init`` has had its say, as
        ``{"hybrid": {"tensors": 21, "elements": 77232}, "additive": {…}}``."""
        counts: dict[str, dict[str, int]] = {}
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state.get(p) or {}
                seen = state if "zero_start" in state else {"zero_start": all_zero(p)}
                entry = counts.setdefault(rule_of(seen, group).name, {"tensors": 0, "elements": 0})
                entry["tensors"] += 1
                entry["elements"] += p.numel()
        return counts

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load as in torch. A state_dict of the torch.optim optimizer of the same name is taken
        too: what its groups do not say (the rule and its hyperparameters) stays as it is here."""
        groups = state_dict["param_groups"]
        if len(groups) == len(self.param_groups):
            merged = [
                self._fill(theirs, ours)
                for theirs, ours in zip(groups, self.param_groups, strict=True)
            ]
            state_dict = {**state_dict, "param_groups": merged}
        super().load_state_dict(state_dict)

    def torch_state_dict(self) -> dict[str, Any]:
        """The state_dict in the terms of the torch.optim optimizer of the same name, for going on
        there; the way back is `load_state_dict`.

        Raises:
            ValueError: a group has another rule than the additive one, which torch does not know.
        """
        state_dict = self.state_dict()
        torch_name = {ours: theirs for theirs, ours in self.direction.torch_names.items()}
        own = {"rule", "zero_init", *(n for rule in RULES.values() for n in rule.hyperparameters)}
        groups = []
        for group in state_dict["param_groups"]:
            if group["rule"] != "additive":
                raise ValueError(f"torch.optim has only the additive rule, not '{group['rule']}'")
            groups.append({torch_name.get(k, k): v for k, v in group.items() if k not in own})
        state = {
            index: {k: v for k, v in values.items() if k != "zero_start"}
            for index, values in state_dict["state"].items()
        }
        return {**state_dict, "state": state, "param_groups": groups}

    def _fill(self, theirs: Group, ours: Group) -> Group:
        if "rule" not in theirs:  # written by torch.optim, in torch's names
            names = self.direction.torch_names
            theirs = {names.get(k, k): v for k, v in theirs.items() if names.get(k, k) in ours} | {
                "params": theirs["params"]
            }
        kept = {k: v for k, v in ours.items() if k not in ("params", "param_names")}
        return kept | theirs
