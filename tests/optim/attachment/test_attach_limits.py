"""What attach meets that torch's own optimizers are not: wrappers, hooks of others, groups that
change, errors half-way."""

import copy
from typing import Any

import pytest
import torch

import gofau.optim as optim
from gofau.optim import attach, attached, get_rule
from gofau.optim.attachment.handle import _step_hooks
from tests.optim.attachment.test_attach import Watcher

HALF: dict[str, Any] = {"rule": "multiplicative", "eta_in": 1e6, "eta_out": 0.5}
"""Steps that take half of a weight away, or add half to it."""


def ones(*values):
    params = [torch.full((2,), float(v), requires_grad=True) for v in values]
    for p in params:
        p.grad = torch.ones(2)
    return params


def firsts(params):
    return [p[0].item() for p in params]


# An attach that raises leaves nothing behind.


class Broken(torch.optim.SGD):
    """Takes back, after so many of them, what an optimizer promises."""

    broken = ""

    def __getattribute__(self, name):
        if name == super().__getattribute__("broken"):
            raise AttributeError(f"no {name}")
        return super().__getattribute__(name)


BREAKS = [
    "register_step_pre_hook",
    "register_step_post_hook",
    "register_state_dict_pre_hook",
    "register_load_state_dict_pre_hook",
    "register_load_state_dict_post_hook",
    "_optimizer_step_post_hooks",
]


@pytest.mark.parametrize("what", BREAKS)
def test_an_attach_that_raises_leaves_nothing_behind(what):
    p, q = ones(1, 1)
    optimizer = Broken([{"params": [p], "gofau_eta_out": 0.25}, {"params": [q]}], lr=0.25)
    groups = [dict(group) for group in optimizer.param_groups]
    defaults = dict(optimizer.defaults)
    optimizer.broken = what
    with pytest.raises(AttributeError, match=what):
        attach(optimizer, **HALF)
    optimizer.broken = ""
    assert optimizer.param_groups == groups
    assert optimizer.defaults == defaults
    assert attached(optimizer) is None
    assert not any(len(hooks) for hooks in _step_hooks(optimizer))
    assert not optimizer._optimizer_state_dict_pre_hooks
    assert not optimizer._optimizer_load_state_dict_pre_hooks
    assert not optimizer._optimizer_load_state_dict_post_hooks
    optimizer.step()
    assert firsts([p, q]) == [0.75, 0.75]
    attach(optimizer, **HALF)
    optimizer.step()
    assert firsts([p, q]) == [0.75 * 0.75, 0.75 * 0.5]


def test_an_optimizer_that_cannot_be_remembered_is_left_alone():
    class Unhashable(torch.optim.SGD):
        __hash__ = None  # type: ignore[assignment]

    (p,) = ones(1)
    optimizer = Unhashable([p], lr=0.25)
    with pytest.raises(TypeError, match="unhashable"):
        attach(optimizer, **HALF)
    optimizer.step()
    assert firsts([p]) == [0.75]


# Wrappers, and what steps without a step.


class SAM(torch.optim.Optimizer):
    """Sharpness-aware: the gradient is taken a little uphill; the step is the inner optimizer's."""

    def __init__(self, params, base, rho=0.5, **options):
        super().__init__(params, {"rho": rho, **options})
        self.base_optimizer = base(self.param_groups, **options)
        self.param_groups = self.base_optimizer.param_groups
        self.defaults.update(self.base_optimizer.defaults)

    @torch.no_grad()
    def first_step(self):
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["old"] = p.clone()
                p.add_(group["rho"] * p.grad)

    @torch.no_grad()
    def second_step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.data = self.state[p]["old"]
        self.base_optimizer.step()

    def step(self, closure=None) -> Any:
        assert closure is not None
        closure()
        self.first_step()
        closure()
        self.second_step()

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        self.base_optimizer.param_groups = self.param_groups


class Lookahead(torch.optim.Optimizer):
    """Every second step goes half-way back to where the weights were two steps ago."""

    def __init__(self, optimizer):
        self.optimizer, self.taken = optimizer, 0
        self.state, self.defaults = optimizer.state, optimizer.defaults
        self.param_groups = optimizer.param_groups
        self.slow = [p.detach().clone() for p in self._params()]

    def _params(self):
        return [p for group in self.param_groups for p in group["params"]]

    @torch.no_grad()
    def step(self, closure=None) -> Any:
        self.optimizer.step(closure)
        self.taken += 1
        if self.taken % 2 == 0:
            for slow, p in zip(self.slow, self._params(), strict=True):
                slow.lerp_(p, 0.5)
                p.copy_(slow)


def losses(p):
    """A closure: the gradient of p² / 2, which is p."""

    def closure():
        p.grad = p.detach().clone()
        return p.square().sum() / 2

    return closure


def half(theta, d):
    return theta - get_rule("hybrid").xi(theta, d, 0.25, eta_in=2.0, eta_out=0.5, gamma=0.5)


HYBRID: dict[str, Any] = {"rule": "hybrid", "eta_in": 2.0, "eta_out": 0.5, "gamma": 0.5}


def test_a_rule_inside_sam():
    (p,) = ones(1)
    sam = SAM([p], torch.optim.SGD, lr=0.25)
    with pytest.raises(ValueError, match=r"SAM wraps another optimizer: .* its \.base_optimizer"):
        attach(sam)
    attach(sam.base_optimizer, **HYBRID)
    theta = p.detach().clone()
    for _ in range(4):
        sam.step(losses(p))
        theta = half(theta, 1.5 * theta)
        torch.testing.assert_close(p.detach(), theta)


def test_a_rule_inside_lookahead():
    (p,) = ones(1)
    wrapper = Lookahead(torch.optim.SGD([p], lr=0.25))
    with pytest.raises(ValueError, match=r"Lookahead wraps another optimizer: .* its \.optimizer"):
        attach(wrapper)
    attach(wrapper.optimizer, **HYBRID)
    theta = slow = p.detach().clone()
    for t in range(1, 5):
        wrapper.step(losses(p))
        theta = half(theta, theta)
        if t % 2 == 0:
            theta = slow = (slow + theta) / 2
        torch.testing.assert_close(p.detach(), theta)


def test_what_a_wrapper_does_to_the_groups_it_shares_goes_through_its_own_methods():
    p, q = ones(1, 1)
    sam = SAM([p], torch.optim.SGD, lr=0.25)
    before = copy.deepcopy(sam.state_dict())
    attach(sam.base_optimizer, **HALF)
    sam.load_state_dict(before)  # from before the attachment
    sam.defaults = {"rho": 0.5, **torch.optim.SGD([torch.ones(1)], lr=0.25).defaults}
    sam.add_param_group({"params": [q]})  # by somebody who does not know of the rule
    sam.base_optimizer.step()
    assert firsts([p, q]) == [0.5, 0.5]


def test_wrappers_of_several_are_refused_by_the_first():
    class Several(torch.optim.SGD):
        pass

    params = ones(1)
    for held in ([torch.optim.SGD(params)], {0: torch.optim.SGD(params)}):
        optimizer = Several(params)
        optimizer.held = held  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match=r"Several wraps another .*, its \.held\[0\]"):
            attach(optimizer)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("train", "has train.. or eval..: it evaluates other weights than it steps"),
        ("eval", "has train.. or eval..: it evaluates other weights than it steps"),
        ("first_step", "first_step moves weights, and no step hook sees it"),
        ("second_step", "second_step moves weights, and no step hook sees it"),
        ("fused_backward", "fused_backward moves weights, and no step hook sees it"),
    ],
)
def test_what_moves_or_evaluates_weights_beside_its_step_is_refused(method, message):
    kind = type("Odd", (torch.optim.SGD,), {method: lambda self: None})
    (p,) = ones(1)
    optimizer = kind([p], lr=0.25)
    with pytest.raises(ValueError, match=message):
        attach(optimizer, **HALF)
    optimizer.step()
    assert firsts([p]) == [0.75]


# Hooks of others.


def test_torch_keeps_its_step_hooks_where_we_order_them():
    """If this fails, torch has changed what `gofau.optim.attachment.handle._step_hooks` returns."""
    (p,) = ones(1)
    optimizer = torch.optim.SGD([p], lr=0.25)
    order = []

    def say(what):
        return lambda *_: order.append(what)

    handles = [optimizer.register_step_pre_hook(say(f"pre {i}")) for i in range(2)]
    handles += [optimizer.register_step_post_hook(say(f"post {i}")) for i in range(2)]
    pre, post = _step_hooks(optimizer)
    assert (list(pre), list(post)) == ([h.id for h in handles[:2]], [h.id for h in handles[2:]])
    optimizer.step()
    assert order == ["pre 0", "pre 1", "post 0", "post 1"]
    order.clear()
    pre.move_to_end(handles[0].id)
    post.move_to_end(handles[3].id, last=False)
    pre[handles[0].id] = say("swapped")
    optimizer.step()
    assert order == ["pre 1", "swapped", "post 1", "post 0"]


@pytest.mark.parametrize("first", [True, False])
def test_a_post_hook_sees_the_weights_that_the_rule_made(first):
    (p,) = ones(1)
    optimizer = torch.optim.SGD([p], lr=0.25)
    seen = []
    for act in (0, 1) if first else (1, 0):
        if act:
            attach(optimizer, **HALF)
        else:
            optimizer.register_step_post_hook(lambda *_: seen.append(p[0].item()))
    for _ in range(3):
        optimizer.step()
    assert seen == [0.5, 0.25, 0.125]


@pytest.mark.parametrize("first", [True, False])
def test_a_pre_hook_that_changes_weights_is_not_a_part_of_the_step(first):
    (p,) = ones(1)
    optimizer = torch.optim.SGD([p], lr=0.25)

    @torch.no_grad()
    def double(*_):
        p.mul_(2)

    def idle(*_):
        pass

    if first:
        optimizer.register_step_pre_hook(double)
    attach(optimizer, **HALF)
    if not first:
        optimizer.register_step_pre_hook(double)
    optimizer.register_step_pre_hook(idle)
    for _ in range(3):
        optimizer.step()
        assert firsts([p]) == [1.0]  # doubled, and halved by the rule
    *others, ours = _step_hooks(optimizer)[0].values()
    assert others == [double, idle]  # as they were registered
    assert ours.__name__ == "_before"
    optimizer.register_step_pre_hook(double)
    for expected in (2.0, 4.0):
        optimizer.step()
        assert firsts([p]) == [expected]


def test_a_pre_hook_may_come_late_bring_a_closure_and_go():
    (p,) = ones(1)
    optimizer = torch.optim.SGD([p], lr=0.25)
    p.grad = None
    attach(optimizer, **HALF)

    def bring(optimizer, args, kwargs):
        handle.remove()
        return args, {"closure": losses(p)}

    handle = optimizer.register_step_pre_hook(bring)
    optimizer.step()
    assert firsts([p]) == [0.5]
    assert handle.id not in _step_hooks(optimizer)[0]
    optimizer.step()
    assert firsts([p]) == [0.25]


def test_a_late_pre_hook_that_raises_stops_the_step_and_no_more():
    (p,) = ones(1)
    optimizer = torch.optim.SGD([p], lr=0.25)
    attach(optimizer, **HALF)
    fail = [True, True, False]

    def maybe(*_):
        if fail.pop(0):
            raise KeyError

    handles = [optimizer.register_step_pre_hook(f) for f in (maybe, lambda *_: None)]
    for _ in range(2):
        with pytest.raises(KeyError):
            optimizer.step()
    assert firsts([p]) == [1.0]
    optimizer.step()
    assert firsts([p]) == [0.5]
    handles[0].remove()
    optimizer.step()
    assert firsts([p]) == [0.25]


# Tensors that started at zero, in groups that change: as in gofau's own optimizers, which know it
# by the parameter.


def _remove(optimizer, p):
    optimizer.param_groups[0]["params"].pop(0)


def _reverse(optimizer, p):
    optimizer.param_groups[0]["params"].reverse()


def _insert(optimizer, p):
    optimizer.param_groups[0]["params"].insert(0, p)


def _exchange(optimizer, p):
    optimizer.param_groups[0]["params"][0] = p


def _move(optimizer, p):
    optimizer.add_param_group({"params": [optimizer.param_groups[0]["params"].pop(0)]})


def _reload(optimizer, p):
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


def _all(optimizer, p):
    removed = optimizer.param_groups[0]["params"].pop(0)
    optimizer.state.pop(removed, None)  # else torch saves nothing
    _reload(optimizer, p)
    _reverse(optimizer, p)


EDITS = [_remove, _reverse, _insert, _exchange, _move, _reload, _all]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__[1:])
def test_what_started_at_zero_is_known_by_the_parameter(edit):
    ends = []
    for make in (optim.SGD, torch.optim.SGD):
        params = [torch.tensor(v).repeat(2).requires_grad_() for v in (0.0, 1.0, 0.0, 2.0)]
        new = torch.zeros(2, requires_grad=True)
        own = HALF if make is optim.SGD else {}
        optimizer = make(params, lr=0.25, **own)
        if not own:
            attach(optimizer, **HALF)
        for t in range(4):
            if t == 2:
                edit(optimizer, new)
            for p in (*params, new):
                p.grad = torch.ones(2)
            optimizer.step()
        ends.append(torch.stack([*params, new]).detach())
    assert torch.equal(*ends)
    assert (ends[0][2] == -1).all()  # additive to the end


def test_the_list_of_what_started_at_zero_is_in_the_order_of_today_and_travels():
    params = ones(0, 1, 0)
    optimizer = torch.optim.SGD(params, lr=0.25)
    attach(optimizer, **HALF)
    assert optimizer.state_dict()["param_groups"][0].get("gofau_zero_start") is None
    optimizer.step()
    kept = optimizer.state_dict()
    assert kept["param_groups"][0]["gofau_zero_start"] == [True, False, True]
    optimizer.param_groups[0]["params"].pop(0)
    saved = optimizer.state_dict()
    assert saved["param_groups"][0]["gofau_zero_start"] == [False, True]
    assert kept["param_groups"][0]["gofau_zero_start"] == [True, False, True]
    others = ones(1, 1)
    again = torch.optim.SGD(others, lr=0.25)
    attach(again)
    again.load_state_dict(saved)
    again.param_groups[0]["params"].reverse()  # loaded, and not yet stepped
    again.step()
    assert firsts(others) == [0.5, 0.75]


def test_weights_from_before_the_attachment_are_judged_anew():
    (p,) = ones(1)
    optimizer = torch.optim.SGD([p], lr=0.25)
    before = copy.deepcopy(optimizer.state_dict())
    attach(optimizer, **HALF)
    optimizer.step()
    p.data.zero_()
    optimizer.load_state_dict(before)
    optimizer.step()
    assert firsts([p]) == [-0.25]


@pytest.mark.parametrize(
    ("rule", "gamma", "expected"),
    [
        ("multiplicative", 0.5, -0.5),
        ("hybrid", 0.5, -0.25),  # its own formula
        ("hybrid", 1.0, -0.5),
        ("exponential", 0.5, -0.5),
        ("power", 0.5, -0.5),
    ],
)
def test_only_rules_that_cannot_move_zeros_spare_them(rule, gamma, expected):
    (p,) = ones(0)
    optimizer = torch.optim.SGD([p], lr=0.5)
    attach(optimizer, rule=rule, gamma=gamma)
    optimizer.step()
    assert firsts([p]) == [expected]


def test_the_copy_of_a_removed_parameter_is_given_up():
    params = ones(1, 2)
    optimizer = torch.optim.SGD(params, lr=0.25)
    handle = attach(optimizer, **HALF)
    optimizer.step()
    optimizer.param_groups[0]["params"].pop(0)
    optimizer.step()
    assert list(handle._buffers) == params[1:]


# gofau's own optimizers.


def test_an_own_rule_that_comes_later_is_refused_before_anything_is_stepped():
    (p,) = ones(1)
    optimizer = optim.SGD([p], lr=0.25, momentum=0.9)
    attach(optimizer, **HALF)
    optimizer.step()
    state = copy.deepcopy(optimizer.state_dict()["state"])
    optimizer.param_groups[0]["rule"] = "power"
    with pytest.raises(ValueError, match="SGD has a rule of its own, 'power'"):
        optimizer.step()
    assert firsts([p]) == [0.5]
    now = optimizer.state_dict()["state"]
    assert all(torch.equal(state[0][k], now[0][k]) for k in state[0])
    optimizer.param_groups[0]["rule"] = "additive"
    optimizer.step()
    assert firsts([p]) == [0.25]


# Numbers.


def test_eta_is_the_learning_rate_of_each_group_and_of_today():
    p, q = ones(1, 1)
    optimizer = torch.optim.SGD([{"params": [p], "lr": 0.5}, {"params": [q]}], lr=0.25)
    attach(optimizer, rule="multiplicative", eta_in=1e6)  # η_out is η
    optimizer.step()
    assert firsts([p, q]) == [0.5, 0.75]
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    optimizer.step()
    schedule.step()
    assert firsts([p, q]) == [0.25, 0.5625]
    optimizer.step()
    assert firsts([p, q]) == [0.25 * 0.75, 0.5625 * 0.875]


@pytest.mark.parametrize("rule", sorted(set(optim.RULES) - {"additive"}))
@pytest.mark.parametrize("lr", [0.0, torch.tensor(0.0)], ids=str)
def test_at_lr_zero_nothing_moves(lr, rule):
    params = [torch.tensor([1.0, -2.0, 0.0, -0.0]).requires_grad_()]
    before = params[0].detach().clone()
    params[0].grad = torch.ones(4)
    optimizer = torch.optim.SGD(params, lr=lr)
    attach(optimizer, rule=rule, eta_in=1e3, eta_out=0.5)
    optimizer.step()
    assert torch.equal(params[0], before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("rule", sorted(set(optim.RULES) - {"additive"}))
def test_half_precision_is_computed_in_float32_and_rounded_once(rule, dtype):
    generator = torch.Generator().manual_seed(0)
    p = torch.randn(500, generator=generator).to(dtype).requires_grad_()
    p.grad = torch.randn(500, generator=generator).to(dtype)
    q = p.detach().clone().requires_grad_()
    q.grad = p.grad
    theta = p.detach().float()
    one, twin = (torch.optim.AdamW([x], lr=0.25, weight_decay=0.01) for x in (p, q))
    handle = attach(one, rule=rule, eta_in=0.7, eta_out=0.3, gamma=0.4)
    handle.watcher = watcher = Watcher()
    one.step()
    twin.step()
    theta = theta * (1 - 0.25 * 0.01)
    own = {name: h.default for name, h in get_rule(rule).own.items()}
    group = own | {"lr": 0.25, "eta_in": 0.7, "eta_out": 0.3, "gamma": 0.4}
    xi = get_rule(rule)(theta, (theta - q.detach().float()) / 0.25, group)
    assert torch.equal(p.detach(), (theta - xi).to(dtype))
    assert torch.equal(watcher.seen[0], (theta - q.detach().float()) / 0.25)


def test_decoupled_decay_needs_numbers():
    (p,) = ones(1)
    for missing in ("lr", "weight_decay"):
        optimizer = torch.optim.SGD([p], lr=0.25)
        optimizer.param_groups[0][missing] = None
        with pytest.raises(ValueError, match="needs the numbers lr and weight_decay"):
            attach(optimizer, decoupled_weight_decay=True)


def test_a_step_skipped_by_a_scaler_is_none_for_a_rule_that_moves_by_itself(monkeypatch):
    rules = dict(optim.RULES)
    monkeypatch.setattr("gofau.optim.registry.RULES", rules)
    monkeypatch.setattr("gofau.optim.attachment.settings.RULES", rules)

    @optim.register_rule("drift")
    def drift(theta, d, eta):
        return eta * (d + 1)

    (p,) = ones(1)
    optimizer = optim.SGD([p], lr=0.25)
    attach(optimizer, rule="drift")
    optimizer.found_inf = torch.ones(1)  # type: ignore[attr-defined]
    optimizer.step()
    assert firsts([p]) == [1.0]
    optimizer.found_inf = torch.zeros(1)  # type: ignore[attr-defined]
    optimizer.step()
    assert firsts([p]) == [0.5]


def test_a_closure_whose_gradients_the_optimizer_clears():
    class Clears(torch.optim.SGD):
        def step(self, closure=None) -> Any:
            super().step(closure)
            self.zero_grad()

    p, idle = ones(1, 1)
    optimizer = Clears([p, idle], lr=0.25)
    idle.grad = None
    attach(optimizer, **HALF)
    optimizer.step(losses(p))
    assert firsts([p, idle]) == [0.5, 1.0]
