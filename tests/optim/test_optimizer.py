"""The optimizers as torch users know them: groups, state, resume, errors; and zero_init."""

import copy
import inspect
import pickle
import subprocess
import sys

import pytest
import torch

import gofau.optim as optim
from tests.optim.reference import BASES

RULES = ["additive", "multiplicative", "hybrid", "exponential"]
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


def test_the_signature_is_the_documented_one():
    parameters = inspect.signature(optim.SGD).parameters
    defaults = {name: p.default for name, p in parameters.items()}
    expected = {"lr": 1e-3, "momentum": 0.9, "rule": "hybrid", "eta_in": 10.0, "eta_out": 0.1}
    expected |= {"alpha": 0.5, "weight_decay": 0.0, "zero_init": "additive"}
    assert defaults | expected == defaults


@pytest.mark.parametrize("base", BASES)
def test_every_hyperparameter_is_in_the_param_groups(base):
    optimizer = BASES[base][0](model().parameters(), lr=0.1, alpha=0.25, eta_in=3.0)
    group = optimizer.param_groups[0]
    names = set(inspect.signature(BASES[base][0]).parameters) - {"params", "rule_options"}
    assert names <= set(group)
    assert (group["alpha"], group["eta_in"]) == (0.25, 3.0)


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


def test_rmsprops_smoothing_constant_is_not_taken_for_the_blend():
    theirs = torch.optim.RMSprop(model().parameters(), alpha=0.77)
    ours = optim.RMSprop(model().parameters(), alpha=0.25)
    ours.load_state_dict(theirs.state_dict())
    assert (ours.param_groups[0]["rho"], ours.param_groups[0]["alpha"]) == (0.77, 0.25)


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
    optimizer = optim.SGD([p], lr=1.0, momentum=0, rule="hybrid", alpha=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 0.5**t)
    for alpha, expected in ((0.0, 0.0), (1.0, 0.0)):  # 1 − 1; then zero stays zero
        optimizer.param_groups[0]["alpha"] = alpha
        p.grad = torch.ones(1)
        optimizer.step()
        schedule.step()
        assert p.item() == expected
    assert optimizer.param_groups[0]["lr"] == 0.25


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


@pytest.mark.parametrize("rule", ["multiplicative", "exponential", "hybrid"])
@pytest.mark.parametrize("base", BASES)
def test_zero_tensors_get_the_additive_rule_unless_frozen(base, rule):
    ends = {}
    for zero_init in ("additive", "freeze"):
        p = torch.zeros(3, requires_grad=True)
        q = torch.tensor([0.0, 1.0, -1.0], requires_grad=True)
        optimizer = BASES[base][0]([p, q], rule=rule, zero_init=zero_init, alpha=1.0, lr=0.1)
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
    ({"alpha": 1.5}, r"alpha must be in \[0, 1\], got 1\.5"),
    ({"eta_out": 0}, "eta_out must be > 0, got 0"),
    ({"eta_in": -1}, "eta_in must be > 0, got -1"),
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
        ({"params": [extra], "alpha": 2}, "alpha must be"),
        ({"params": [extra], "eta_inn": 2}, "Did you mean 'eta_in'"),
    ):
        with pytest.raises(ValueError, match=message):
            optimizer.add_param_group(group)
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": [extra], "alpha": 1})


def test_options_of_an_own_rule_go_into_the_groups_and_others_are_refused(monkeypatch):
    monkeypatch.setattr("gofau.optim.rules.RULES", dict(optim.RULES))
    optim.register_rule("power")(_power)
    p = torch.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([p], lr=1.0, momentum=0, rule="power", power=2)
    p.grad = torch.tensor([0.5])
    optimizer.step()
    assert p.item() == 0.75
    optim.register_rule("needy")(_needy)
    with pytest.raises(ValueError, match="rule 'needy' needs the hyperparameter 'limit'"):
        optim.SGD([p], rule="needy")
    with pytest.raises(TypeError, match="has no hyperparameter 'powr'"):
        optim.SGD([p], rule="power", powr=2)


def _needy(theta, u, *, limit):
    return u.clamp(-limit, limit)


def _power(theta, u, *, power=1):
    return u**power


def test_sparse_and_complex_are_refused_clearly():
    embedding = torch.nn.Embedding(4, 2, sparse=True)
    optimizer = optim.SGD(embedding.parameters())
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="SGD does not support sparse gradients"):
        optimizer.step()
    with pytest.raises(ValueError, match="complex parameters"):
        optim.SGD([torch.ones(2, dtype=torch.complex64, requires_grad=True)])


def test_differentiable_lets_a_gradient_flow_through_the_step():
    lr = torch.tensor(0.1, requires_grad=True)
    p = torch.tensor([1.0], requires_grad=True)
    clone = p.clone()
    optimizer = optim.SGD([clone], lr=lr, momentum=0, rule="additive", differentiable=True)
    clone.grad = torch.tensor([3.0])
    optimizer.step()
    clone.sum().backward()
    assert lr.grad is not None
    assert lr.grad.item() == -3.0


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
