"""The optimizers as torch users know them: groups, state, resume, errors; and zero_init."""

import copy
import inspect
import math
import pickle
import subprocess
import sys
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import gofau.optim as optim
from gofau.optim.hyperparameters import SHARED
from tests.optim.reference import BASES, IN_TORCH
from tests.optim.versions import FLAGGED, flagged

RULES = ["additive", "multiplicative", "hybrid", "exponential", "power", "hypentropy"]
ALL = [(base, rule) for base in BASES for rule in RULES]


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(5, 4), torch.nn.LayerNorm(4), torch.nn.ReLU(), torch.nn.Linear(4, 2)
    )


def walk(net, optimizer, steps, start=0):
    for t in range(start, start + steps):
        x = torch.randn(8, 5, generator=torch.Generator().manual_seed(t))
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()


def same(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


OURS = ("rule", "stepsize", "eta_in", "eta_out", "gamma", "zero_init")
ADDED = {"sgd": ("capturable",), "adagrad": ("capturable",), "rmsprop": ("fused",)}
"""What torch gives to some of its optimizers and we give to all."""


@pytest.mark.parametrize("base", BASES)
def test_the_signature_begins_with_torchs(base):
    mine, theirs = ([*inspect.signature(make).parameters.values()] for make in BASES[base])
    if not FLAGGED:
        mine = [p for p in mine if p.name != "decoupled_weight_decay"]
    told = [(p.name, p.kind, p.default) for p in mine]
    assert told[: len(theirs)] == [(p.name, p.kind, p.default) for p in theirs]
    rest = mine[len(theirs) :]
    assert [p.name for p in rest] == [*ADDED.get(base, ()), *OURS, "rule_options"]
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in rest[:-1])
    defaults = {p.name: p.default for p in rest}
    assert defaults["rule"] == "additive"
    assert [defaults[n] for n in SHARED] == [h.default for h in SHARED.values()]


@pytest.mark.parametrize("base", BASES)
def test_every_hyperparameter_is_in_the_param_groups(base):
    optimizer = BASES[base][0](model().parameters(), lr=0.1, gamma=0.25, eta_in=3.0)
    group = optimizer.param_groups[0]
    names = set(inspect.signature(BASES[base][0]).parameters) - {"params", "rule_options"}
    assert names <= set(group)
    assert (group["gamma"], group["eta_in"]) == (0.25, 3.0)


@pytest.mark.parametrize(("base", "rule"), ALL)
def test_resume_from_a_state_dict_is_bit_identical(base, rule, tmp_path):
    make = BASES[base][0]
    whole, part = model(), model()
    straight, first = make(whole.parameters(), rule=rule), make(part.parameters(), rule=rule)
    walk(whole, straight, 10)
    walk(part, first, 4)
    torch.save([part.state_dict(), first.state_dict()], tmp_path / "checkpoint.pt")
    weights, state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    resumed = model()
    resumed.load_state_dict(weights)
    again = make(resumed.parameters(), rule="additive", lr=77.0)
    again.load_state_dict(state)
    walk(resumed, again, 6, start=4)
    assert same(whole, resumed)


@pytest.mark.parametrize("base", BASES)
def test_a_state_dict_of_torch_goes_on_here(base):
    make, make_torch = BASES[base]
    net = model()
    theirs = make_torch(net.parameters(), lr=0.02, weight_decay=0.1)
    walk(net, theirs, 5)
    here = copy.deepcopy(net)
    ours = make(here.parameters(), rule="additive")
    ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
    assert ours.param_groups[0]["lr"] == 0.02
    assert ours.param_groups[0]["rule"] == "additive"
    walk(net, theirs, 5, start=5)
    walk(here, ours, 5, start=5)
    for p, q in zip(net.parameters(), here.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-7)


def test_rmsprops_smoothing_constant_is_torchs_alpha_both_ways():
    theirs = torch.optim.RMSprop(model().parameters(), alpha=0.77)
    ours = optim.RMSprop(model().parameters(), gamma=0.25)
    ours.load_state_dict(theirs.state_dict())
    assert (ours.param_groups[0]["alpha"], ours.param_groups[0]["gamma"]) == (0.77, 0.25)
    theirs = torch.optim.RMSprop(model().parameters())
    theirs.load_state_dict(ours.state_dict())
    assert theirs.param_groups[0]["alpha"] == 0.77


@flagged
@pytest.mark.parametrize("make", [optim.Adam, optim.AdamW])
def test_an_adam_with_decoupled_decay_goes_on_as_one(make):
    net = model()
    theirs = torch.optim.Adam(
        net.parameters(), lr=0.01, weight_decay=0.5, decoupled_weight_decay=True
    )
    walk(net, theirs, 3)
    here = copy.deepcopy(net)
    ours = make(here.parameters())
    ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
    walk(net, theirs, 50, start=3)
    walk(here, ours, 50, start=3)
    for p, q in zip(net.parameters(), here.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-7)


@flagged
def test_an_adam_with_l2_decay_loaded_into_adamw_is_decoupled_as_in_torch():
    state = torch.optim.Adam(model().parameters(), weight_decay=0.5).state_dict()
    ours, theirs = (make(model().parameters()) for make in BASES["adamw"])
    for optimizer in (ours, theirs):
        optimizer.load_state_dict(copy.deepcopy(state))
        assert optimizer.param_groups[0]["decoupled_weight_decay"] is True


def test_keys_that_nobody_knows_stay_in_the_groups_as_in_torch():
    extra = {"initial_lr": 0.5, "name": "head", "lr_scale": 2.0}
    p = torch.ones(1, requires_grad=True)
    optimizer = optim.SGD([{"params": [p], **extra}], lr=0.5)
    torch.optim.lr_scheduler.StepLR(optimizer, 3, last_epoch=5)
    group = optimizer.state_dict()["param_groups"][0]
    assert extra.items() <= group.items()
    again = optim.SGD([torch.ones(1, requires_grad=True)])
    again.load_state_dict(optimizer.state_dict())
    assert extra.items() <= again.param_groups[0].items()


@pytest.mark.parametrize("base", [b for b in IN_TORCH if b != "sgd"])
def test_a_step_number_that_is_no_tensor_is_loaded(base):
    ours, theirs = (make(model().parameters()) for make in BASES[base])
    net = model()
    first = BASES[base][1](net.parameters())
    walk(net, first, 2)
    state = copy.deepcopy(first.state_dict())
    for values in state["state"].values():
        values["step"] = int(values["step"])
    for optimizer in (ours, theirs):
        optimizer.load_state_dict(copy.deepcopy(state))
        steps = [x["step"] for x in optimizer.state.values()]
        assert all(isinstance(t, torch.Tensor) and t.item() == 2 for t in steps)


PATHS = [{"foreach": False, "fused": False}, {"foreach": True}, {"fused": True}]


@pytest.mark.parametrize("flags", PATHS, ids=str)
def test_tensors_of_one_element_and_numpys_scalars_are_numbers(flags):
    ends = []
    variants: Any = (
        (0.125, (0.5, 0.75)),
        (torch.tensor([0.125]), (torch.tensor([0.5]), torch.tensor(0.75))),
        (np.float32(0.125), (np.float32(0.5), np.float64(0.75))),
    )
    for lr, betas in variants:
        p = torch.linspace(-1, 1, 6).view(2, 3).requires_grad_()
        scalar = torch.tensor(2.0, requires_grad=True)
        optimizer = optim.Adam([p, scalar], lr, betas, rule="hybrid", **flags)
        for t in range(3):
            p.grad, scalar.grad = torch.full((2, 3), 0.5 - t), torch.tensor(0.5)
            optimizer.step()
        ends.append(torch.cat([p.detach().flatten(), scalar.detach().view(1)]))
    assert torch.allclose(ends[1], ends[0], rtol=1e-6)
    assert torch.equal(ends[2], ends[0])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("base", BASES)
def test_tensors_without_values_can_be_stepped(base, rule):
    """Of the meta device, and fake, as tools have them that plan a training without doing it."""
    for mode, device in ((nullcontext(), "meta"), (FakeTensorMode(), "cpu")):
        with mode:
            p = torch.nn.Parameter(torch.zeros(3, device=device))
            optimizer = BASES[base][0]([p], rule=rule)
            for _ in range(2):
                p.grad = torch.ones(3, device=device)
                optimizer.step()
            assert p.shape == (3,)


def test_adagrads_sums_can_be_shared_before_the_first_step():
    ours, theirs = (make(model().parameters()) for make in BASES["adagrad"])
    for optimizer in (ours, theirs):
        optimizer.share_memory()
        assert all(state["sum"].is_shared() for state in optimizer.state.values())
    assert ours.state_dict()["state"].keys() == theirs.state_dict()["state"].keys()


@pytest.mark.parametrize("flags", PATHS, ids=str)
def test_found_inf_and_grad_scale_set_by_hand(flags):
    """As torch's fused optimizers take them from whoever sets them."""
    p, q = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    optimizer: Any = optim.Adam([p], lr=0.1, **flags)
    optimizer.found_inf = torch.tensor(1.0)
    p.grad = torch.ones(3)
    optimizer.step()
    assert torch.equal(p, torch.ones(3))
    assert not optimizer.state
    optimizer.found_inf, optimizer.grad_scale = torch.tensor(0.0), torch.tensor(4.0)
    p.grad, q.grad = torch.full((3,), 2.0), torch.full((3,), 0.5)
    optimizer.step()
    optim.Adam([q], lr=0.1, **flags).step()
    assert torch.equal(p, q)
    assert p.grad.tolist() == [0.5] * 3


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_go_on_alike(copied):
    net = model()
    optimizer = optim.Adam(net.parameters())
    walk(net, optimizer, 3)
    twin_net, twin = copied((net, optimizer))
    walk(net, optimizer, 3, start=3)
    walk(twin_net, twin, 3, start=3)
    assert same(net, twin_net)


def test_groups_have_their_own_rules_and_settings():
    a, b = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    groups = [{"params": [a], "rule": "additive", "lr": 0.5}, {"params": [b], "eta_out": 0.2}]
    optimizer = optim.SGD(groups, lr=1.0, momentum=0, rule="multiplicative", eta_in=1e6)
    (a.sum() + b.sum()).backward()
    optimizer.step()
    torch.testing.assert_close(a.detach(), torch.full((3,), 0.5))
    torch.testing.assert_close(b.detach(), torch.full((3,), 0.8))


def test_schedulers_drive_any_hyperparameter():
    p = torch.ones(1, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.5, rule="hybrid", eta_in=1e6, gamma=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 0.5**t)
    # 1 − ½·1; then the multiplicative rule with η_out = η = ¼; then half of each with η = ⅛
    for gamma, expected in ((0.0, 0.5), (1.0, 0.375), (0.5, 0.375 * 15 / 16 - 1 / 16)):
        optimizer.param_groups[0]["gamma"] = gamma
        p.grad = torch.ones(1)
        optimizer.step()
        schedule.step()
        assert p.item() == expected
    optimizer.param_groups[0] |= {"gamma": 1.0, "eta_out": 0.5}
    optimizer.step()
    assert p.item() == expected / 2


def test_a_closure_is_called_once_with_gradients_and_its_loss_returned():
    p = torch.ones(2, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1, rule="additive")
    calls = []

    def closure():
        optimizer.zero_grad()
        loss = p.square().sum()
        loss.backward()
        calls.append(loss.item())
        return loss

    with torch.no_grad():
        assert optimizer.step(closure).item() == 2.0
    assert calls == [2.0]
    assert p.detach().tolist() == pytest.approx([0.8, 0.8])


@pytest.mark.parametrize(
    ("rule", "own"), [("multiplicative", {}), ("exponential", {}), ("power", {}), ("hybrid", 1.0)]
)
@pytest.mark.parametrize("base", BASES)
def test_zero_tensors_get_the_additive_rule_where_theirs_cannot_move_them(base, rule, own):
    own = {"gamma": own} if own else {}
    ends = {}
    for zero_init in ("additive", "freeze"):
        p = torch.zeros(3, requires_grad=True)
        q = torch.tensor([0.0, 1.0, -1.0], requires_grad=True)
        optimizer = BASES[base][0]([p, q], rule=rule, zero_init=zero_init, lr=0.1, **own)
        for _ in range(3):
            p.grad, q.grad = torch.ones(3), torch.ones(3)
            optimizer.step()
        ends[zero_init] = (p.detach(), q.detach())
        expected = {rule: {"tensors": 1, "elements": 3}, "additive": {"tensors": 1, "elements": 3}}
        if zero_init == "freeze":
            expected = {rule: {"tensors": 2, "elements": 6}}
        assert optimizer.rule_counts() == expected
    assert (ends["additive"][0] < 0).all()  # and goes on moving once it is no longer zero
    assert (ends["freeze"][0] == 0).all()
    assert ends["additive"][1][0] == 0  # a single zero inside a tensor stays: the rule's own
    assert torch.equal(ends["additive"][1], ends["freeze"][1])


@pytest.mark.parametrize("base", BASES)
def test_hybrid_keeps_its_own_formula_on_tensors_that_start_at_zero(base):
    """There its multiplicative part is 0, and the step (1 − γ)·η·d."""
    ends = []
    for own in ({"rule": "hybrid", "gamma": 0.75, "lr": 0.4}, {"lr": 0.1}):
        p = torch.zeros(3, requires_grad=True)
        optimizer = BASES[base][0]([p], **own)
        p.grad = torch.tensor([1.0, -2.0, 0.5])
        optimizer.step()
        ends.append(p.detach())
        assert "zero_start" not in optimizer.state.get(p, {})
    assert torch.allclose(ends[0], ends[1])


def test_a_gamma_that_reaches_1_spares_what_is_zero_then():
    p, q = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    optimizer = optim.SGD([p, q], lr=0.5, rule="hybrid", gamma=0.5)
    p.grad = torch.ones(2)
    optimizer.step()
    optimizer.param_groups[0]["gamma"] = 1.0
    p.grad = q.grad = torch.ones(2)
    optimizer.step()
    assert set(optimizer.rule_counts()) == {"hybrid", "additive"}
    assert q.tolist() == [-0.5, -0.5]
    moved = -0.25 - 0.5 * 0.25 * math.tanh(1.0)
    torch.testing.assert_close(p.detach(), torch.full((2,), moved))


def test_the_zero_start_outlives_a_resume():
    p = torch.zeros(3, requires_grad=True)
    optimizer = optim.SGD([p], rule="multiplicative", lr=0.1)
    p.grad = torch.ones(3)
    optimizer.step()
    again = optim.SGD([p], rule="multiplicative", lr=0.1)
    assert set(again.rule_counts()) == {"multiplicative"}
    again.load_state_dict(optimizer.state_dict())
    assert set(again.rule_counts()) == {"additive"}


BAD = [
    ({"lr": -0.1}, r"lr must be ≥ 0, got -0\.1"),
    ({"lr": float("nan")}, "lr must be ≥ 0, got nan"),
    ({"lr": "fast"}, "lr must be a number, got 'fast'"),
    ({"lr": torch.ones(2)}, "lr as a tensor must have 1 element, got 2"),
    ({"gamma": 1.5}, r"gamma must be in \[0, 1\], got 1\.5"),
    ({"eta_out": 0}, "eta_out must be > 0 and finite, got 0"),
    ({"eta_in": -1}, "eta_in must be > 0 and finite, got -1"),
    ({"weight_decay": -1}, "weight_decay must be ≥ 0"),
    ({"momentum": -1}, "momentum must be ≥ 0"),
    ({"momentum": True}, "momentum must be a number"),
    ({"rule": "multiplicativ"}, "Did you mean 'multiplicative'"),
    ({"rule": None}, "rule must be one of"),
    ({"zero_init": "frozen"}, "Did you mean 'freeze'"),
    ({"maximize": 1}, "maximize must be true or false"),
    ({"nesterov": True, "dampening": 0.1}, "nesterov needs"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=str)
def test_bad_hyperparameters_are_told_in_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        optim.SGD(model().parameters(), **options)


@pytest.mark.parametrize("betas", [(0.9, 1.0), (-0.1, 0.9), 0.9, (0.9,)])
def test_bad_betas(betas):
    with pytest.raises(ValueError, match="betas"):
        optim.Adam(model().parameters(), betas=betas)


def test_a_bad_group_is_refused_and_leaves_the_optimizer_as_it_was():
    optimizer = optim.SGD(model().parameters())
    extra = torch.ones(1, requires_grad=True)
    for group, message in (
        ({"params": [extra], "gamma": 2}, "gamma must be"),
        ({"params": [extra], "eta_inn": 2}, "Did you mean 'eta_in'"),
    ):
        with pytest.raises(ValueError, match=message):
            optimizer.add_param_group(group)
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": [extra], "gamma": 1})


def test_options_of_an_own_rule_go_into_the_groups_and_others_are_refused(own_rules):
    optim.register_rule("squared")(_squared)
    p = torch.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([p], lr=1.0, rule="squared", strength=2)
    p.grad = torch.tensor([0.5])
    optimizer.step()
    assert p.item() == 0.5
    optim.register_rule("needy")(_needy)
    with pytest.raises(ValueError, match="rule 'needy' needs the hyperparameter 'limit'"):
        optim.SGD([p], rule="needy")
    with pytest.raises(TypeError, match="has no hyperparameter 'strenth'"):
        optim.SGD([p], rule="squared", strenth=2)


def _needy(theta, d, eta, *, limit):
    return (eta * d).clamp(-limit, limit)


def _squared(theta, d, eta, *, strength=1):
    return strength * eta * d * d.abs()


def test_sparse_and_complex_are_refused_clearly():
    embedding = torch.nn.Embedding(4, 2, sparse=True)
    optimizer = optim.SGD(embedding.parameters())
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="SGD does not support sparse gradients"):
        optimizer.step()
    with pytest.raises(ValueError, match="complex parameters"):
        optim.SGD([torch.ones(2, dtype=torch.complex64, requires_grad=True)])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("base", "options"),
    [("sgd", {"momentum": 0.9}), ("adam", {"amsgrad": True}), ("rmsprop", {"centered": True})],
)
def test_differentiable_lets_gradients_flow_through_the_steps(base, options, rule):
    """Against differences of the whole computation, through θ and lr, over three steps."""

    def end(theta, lr):
        p = theta.clone()
        own = {"rule": rule, "differentiable": True}
        optimizer = BASES[base][0]([p], lr=lr, **options, **own)
        for t in range(3):
            p.grad = torch.sin(p * 1.3 - t)
            optimizer.step()
        return p.square().sum()

    theta = torch.tensor([1.0, -2.0, 0.3], dtype=torch.float64, requires_grad=True)
    lr = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(end, (theta, lr))


def test_optim_imports_torch_and_nothing_else():
    code = (
        "import sys, torch; before = set(sys.modules); import gofau.optim;"
        "new = {m for m in set(sys.modules) - before if not m.startswith('gofau')};"
        "ours = {m for m in sys.modules if m.startswith('gofau')};"
        "print(sorted(m for m in new if m.split('.')[0] not in sys.stdlib_module_names"
        " and m.split('.')[0] != 'torch'), sorted(m for m in ours if m != 'gofau'"
        " and not m.startswith('gofau.optim')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"
