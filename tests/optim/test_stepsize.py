"""The contract of a step size: scope, role, needs, state, hyperparameters; on every path."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

import gofau.optim as optim
from gofau.optim import Hyperparameter, StepSize, register_stepsize
from gofau.optim.checks import Interval
from tests.optim.reference import BASES
from tests.optim.stepping import FOREACH, FUSED, LOOP

PATHS: dict[str, dict[str, Any]] = {"loop": LOOP, "foreach": FOREACH, "fused": FUSED}


@pytest.fixture
def registered(own_stepsizes):
    """Step sizes of each kind, registered for one test."""

    @register_stepsize("polyak")
    class Polyak(StepSize):
        """η = lr·(f(θ) − f*) / Σ‖g‖² over the group, f* = 0."""

        scope, role, needs = "group", "eta", frozenset({"loss"})

        def __call__(self, layers, group, evidence):
            square = sum(layer.g.double().square().sum() for layer in layers)
            return [group["lr"] * evidence.loss / square] * len(layers)

    @register_stepsize("line_search")
    class LineSearch(StepSize):
        """η = gᵀd / dᵀHd per layer, by one Hessian-vector product: exact on a quadratic."""

        role, needs = "eta", frozenset({"curvature"})

        def __call__(self, layers, group, evidence):
            assert evidence.hvp is not None
            products = evidence.hvp([layer.d for layer in layers])
            pairs = zip(layers, products, strict=True)
            return [(x.g * x.d).sum() / (x.d * hd).sum() for x, hd in pairs]

    @register_stepsize("clipped")
    class Clipped(StepSize):
        """min(1, limit/|d|) per element: d is clipped."""

        scope = "element"
        hyperparameters = (
            Hyperparameter("limit", "κ", 0.5, Interval(0, open_low=True), "largest |d|"),
        )

        def __call__(self, layers, group, evidence):
            return [(group["limit"] / layer.d.abs()).clamp(max=1) for layer in layers]

    @register_stepsize("warm")
    class Warm(StepSize):
        """t/4 for the first four steps of each tensor: it keeps a state."""

        def init(self, p, group):
            return {"seen": torch.zeros((), device=p.device)}

        def __call__(self, layers, group, evidence):
            return [(layer.state["seen"].add_(0.25)).clamp(max=1).clone() for layer in layers]


def two(dtype=torch.float64):
    values = [torch.tensor([3.0, -4.0], dtype=dtype), torch.tensor([[2.0], [1.0]], dtype=dtype)]
    return [v.requires_grad_() for v in values]


def quadratic(params):
    """½·Σ c·θ² with another curvature c per tensor: the closure, and the curvatures."""
    curvatures = [2.0, 5.0]

    def loss():
        return sum(0.5 * c * p.square().sum() for c, p in zip(curvatures, params, strict=True))

    return loss


def backward(optimizer, loss):
    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    return closure


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("path", PATHS)
def test_one_that_needs_the_loss_takes_the_place_of_eta(path):
    params = two()
    optimizer = optim.SGD(params, lr=0.5, stepsize="polyak", **PATHS[path])
    before = [p.detach().clone() for p in params]
    value = optimizer.step(backward(optimizer, quadratic(params)))
    f = 0.5 * 2 * 25 + 0.5 * 5 * 5
    eta = 0.5 * f / (4 * 25 + 25 * 5)
    assert value.item() == pytest.approx(f)
    for p, theta, c in zip(params, before, [2.0, 5.0], strict=True):
        torch.testing.assert_close(p.detach(), theta - eta * c * theta, rtol=1e-12, atol=0)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("path", PATHS)
def test_it_is_the_rules_eta_and_the_decays_too(path):
    """Multiplicative with η_out = η, and a decoupled decay of η·λ."""
    params = two()
    options: dict[str, Any] = {"rule": "multiplicative", "eta_in": 1e9, "weight_decay": 0.1}
    optimizer = optim.AdamW(params, lr=0.01, stepsize="polyak", **options, **PATHS[path])
    optimizer.step(backward(optimizer, quadratic(params)))
    f = 0.5 * 2 * 25 + 0.5 * 5 * 5
    eta = 0.01 * f / (4 * 25 + 25 * 5)
    expected = torch.tensor([3.0, -4.0], dtype=torch.float64) * (1 - 0.1 * eta) * (1 - eta)
    torch.testing.assert_close(params[0].detach(), expected, rtol=1e-12, atol=0)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("path", PATHS)
def test_one_that_needs_curvature_gets_it_by_one_more_backward_pass(path):
    """An exact line search ends where each tensor's quadratic has its minimum, in one step; the
    closure returns the loss and leaves the backward pass to the optimizer."""
    params = two()
    optimizer = optim.SGD(params, stepsize="line_search", **PATHS[path])
    loss = optimizer.step(quadratic(params))
    assert loss.item() == pytest.approx(0.5 * 2 * 25 + 0.5 * 5 * 5)
    assert not loss.requires_grad
    for p in params:
        torch.testing.assert_close(p.detach(), torch.zeros_like(p), rtol=0, atol=1e-12)


@pytest.mark.usefixtures("registered")
def test_curvature_leaves_out_what_takes_no_part_and_is_zero_where_the_loss_is_linear():
    p, q, idle = (torch.ones(2, dtype=torch.float64, requires_grad=True) for _ in "pqi")
    optimizer = optim.SGD([p, q, idle], stepsize="line_search")
    optimizer.step(lambda: p.square().sum() + 3 * q.sum())
    assert p.tolist() == [0, 0]
    assert (q == -math.inf).all()  # straight down for ever
    assert idle.tolist() == [1, 1]
    assert idle.grad is None


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("name", ["polyak", "line_search"])
def test_what_is_needed_must_be_given(name):
    need = "loss" if name == "polyak" else "curvature"
    optimizer = optim.SGD(two(), stepsize=name)
    with pytest.raises(RuntimeError, match=rf"needs the {need}: call step\(closure\)"):
        optimizer.step()


@pytest.mark.usefixtures("registered")
def test_for_curvature_the_closure_must_return_a_loss_with_its_graph():
    optimizer = optim.SGD(two(), stepsize="line_search")
    with pytest.raises(RuntimeError, match="must return the loss, without backward"):
        optimizer.step(lambda: 1.0)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("path", PATHS)
def test_one_per_element(path):
    p = torch.tensor([3.0, -4.0, 1.0], requires_grad=True)
    optimizer = optim.SGD([p], lr=1.0, stepsize="clipped", limit=0.25, **PATHS[path])
    p.grad = torch.tensor([0.125, 2.0, -1.0])
    optimizer.step()
    assert p.tolist() == [2.875, -4.25, 1.25]


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("path", PATHS)
def test_its_state_is_kept_beside_the_bases_and_resumed(path):
    """Also where the base keeps none, and bit for bit."""
    straight, part = two(), two()
    one = optim.SGD(straight, lr=0.125, stepsize="warm", **PATHS[path])
    first = optim.SGD(part, lr=0.125, stepsize="warm", **PATHS[path])
    for _ in range(5):
        one.step(backward(one, quadratic(straight)))
    for _ in range(2):
        first.step(backward(first, quadratic(part)))
    assert first.state_dict()["state"][0]["seen"] == 0.5
    again = optim.SGD(part, **PATHS[path])
    again.load_state_dict(copy.deepcopy(first.state_dict()))
    for _ in range(3):
        again.step(backward(again, quadratic(part)))
    assert all(torch.equal(p, q) for p, q in zip(straight, part, strict=True))


@pytest.mark.usefixtures("registered")
def test_its_hyperparameters_live_in_the_groups():
    p, q = two()
    groups = [{"params": [p], "limit": 0.25}, {"params": [q], "stepsize": "base"}]
    optimizer = optim.SGD(groups, lr=1.0, stepsize="clipped")
    assert [g["limit"] for g in optimizer.param_groups] == [0.25, 0.5]
    p.grad, q.grad = torch.full_like(p, 2.0), torch.full_like(q, 2.0)
    optimizer.step()
    assert p.tolist() == [2.75, -4.25]
    assert q.tolist() == [[0.0], [-1.0]]
    optimizer.param_groups[0]["limit"] = torch.tensor(0.5)  # as a schedule does
    optimizer.step()
    assert p.tolist() == [2.25, -4.75]
    for bad, why in ((-1, "limit must be > 0"), ("x", "limit must be a number")):
        with pytest.raises(ValueError, match=why):
            optim.SGD(two(), stepsize="clipped", limit=bad)
    with pytest.raises(
        TypeError, match=r"rule 'additive' and step size 'clipped' have no .* 'lim'"
    ):
        optim.SGD(two(), stepsize="clipped", lim=1.0)
    with pytest.raises(ValueError, match="step size 'clipped' needs the hyperparameter 'limit'"):
        optim.SGD([{"params": two(), "stepsize": "clipped"}])


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("name", ["polyak", "line_search", "warm"])
def test_attach_refuses_what_no_hook_sees(name):
    optimizer = torch.optim.SGD(two(), lr=0.1)
    with pytest.raises(ValueError, match=rf"step size '{name}' needs more than the step"):
        optim.attach(optimizer, stepsize=name)
    assert not any(key.startswith("gofau_") for key in optimizer.param_groups[0])


@pytest.mark.usefixtures("registered")
def test_attach_takes_its_hyperparameters():
    p, _ = two()
    optimizer = torch.optim.SGD([p], lr=1.0)
    optim.attach(optimizer, rule="additive", stepsize="clipped", limit=0.25)
    p.grad = torch.tensor([2.0, -0.125], dtype=p.dtype)
    optimizer.step()
    assert p.tolist() == [2.75, -3.875]
    optimizer.param_groups[0]["gofau_stepsize"] = "base"
    optimizer.step()
    assert p.tolist() == [0.75, -3.75]


# Names.


@pytest.mark.parametrize("base", BASES)
def test_an_unknown_one_is_refused_with_the_nearest(base):
    with pytest.raises(ValueError, match=r"stepsize must be one of .*Did you mean 'trust_ratio'"):
        BASES[base][0](two(), stepsize="trust_ration")
    with pytest.raises(ValueError, match=r"no key 'step_size'\. Did you mean 'stepsize'"):
        BASES[base][0]([{"params": two(), "step_size": "base"}])
    with pytest.raises(ValueError, match="stepsize must be one of"):
        optim.attach(torch.optim.SGD(two(), lr=0.1), stepsize="nothing")


@pytest.mark.usefixtures("own_stepsizes")
def test_what_cannot_be_registered():
    with pytest.raises(ValueError, match="'base' is already registered by Base"):

        @register_stepsize("base")
        class Other(optim.TrustRatio):
            """Another."""

    with pytest.raises(ValueError, match="one η per tensor"):

        @register_stepsize("each")
        class Each(optim.TrustRatio):
            scope, role = "element", "eta"

    with pytest.raises(ValueError, match="a param group has a 'eps' already"):

        @register_stepsize("clash")
        class Clash(optim.TrustRatio):
            hyperparameters = (Hyperparameter("eps", "ε", 1e-8),)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("values", "why"),
    [
        (lambda ds: [], "one value per layer: 2 layers, got 0 values"),
        (lambda ds: [1.0 for _ in ds], r"must have shape \(\), got float"),
        (list, r"must have shape \(\), got shape \(2,\)"),
    ],
)
def test_what_it_returns_is_checked(own_stepsizes, values, why, path):
    @register_stepsize("odd")
    class Odd(StepSize):
        scope = "group"

        def __call__(self, layers, group, evidence):
            return values([layer.d for layer in layers])

    params = two()
    optimizer = optim.SGD(params, stepsize="odd", **PATHS[path])
    for p in params:
        p.grad = torch.ones_like(p)
    with pytest.raises(ValueError, match=f"step size 'odd'.* {why}"):
        optimizer.step()


# What goes with it.


def test_state_dicts_carry_it_and_torchs_leave_it():
    params = two()
    theirs = torch.optim.Adam(params, lr=0.25)
    optimizer = optim.Adam(params, stepsize="trust_ratio")
    optimizer.load_state_dict(theirs.state_dict())
    assert optimizer.param_groups[0]["stepsize"] == "trust_ratio"
    assert optimizer.param_groups[0]["lr"] == 0.25
    other = optim.Adam(two())
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["stepsize"] == "trust_ratio"
    with pytest.raises(ValueError, match="only the base's own step size, not 'trust_ratio'"):
        optimizer.torch_state_dict()
    optimizer.param_groups[0]["stepsize"] = "base"
    assert "stepsize" not in optimizer.torch_state_dict()["param_groups"][0]


def test_one_pickled_before_there_were_any_has_the_bases():
    optimizer = optim.Adam(two())
    del optimizer.param_groups[0]["stepsize"]
    again = copy.deepcopy(optimizer)  # which asks what pickle asks
    assert again.param_groups[0]["stepsize"] == "base"


def test_each_layer_may_have_its_own():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).double()
    overrides = {"*.bias": {"stepsize": "base"}}
    groups = optim.param_groups(model, stepsize="trust_ratio", overrides=overrides)
    assert "stepsize=trust_ratio" in str(groups)
    optimizer = optim.SGD(groups, lr=0.5)
    before = [p.detach().clone() for p in model.parameters()]
    model(torch.ones(1, 3, dtype=torch.float64)).square().sum().backward()
    optimizer.step()
    for (name, p), start in zip(model.named_parameters(), before, strict=True):
        assert p.grad is not None
        moved, plain = (p.detach() - start).norm(), 0.5 * p.grad.norm()
        expected = plain if name.endswith("bias") else 0.5 * start.norm()
        torch.testing.assert_close(moved, expected)


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_what_is_observed_is_d_after_the_step_size(path, foreign, dtype):
    """tanh(η_in·s·d) saturates beyond 2.65: s = 5/0.125 lifts d = 0.125 to 5, of one element."""
    p = torch.tensor([3.0, 4.0], dtype=dtype, requires_grad=True)
    hyper: dict[str, Any] = {"rule": "multiplicative", "eta_in": 1.0, "eta_out": 0.5}
    hyper["stepsize"] = "trust_ratio"
    if foreign:
        optimizer = torch.optim.SGD([p], lr=1.0)
        optim.attach(optimizer, **hyper)
    else:
        optimizer = optim.SGD([p], lr=1.0, **hyper, **PATHS[path])
    p.grad = torch.tensor([0.0, 0.125], dtype=dtype)
    with optim.observe(optimizer) as step:
        optimizer.step()
    assert step.result()["saturation/all"] == 0.5
    assert p.tolist() == pytest.approx([3.0, 2.0], abs=1e-3)  # tanh 5
    assert getattr(optimizer, "watcher", None) is None


def test_a_monitored_walk_is_the_walk():
    """Every step observed, against none: the same weights, and the figures of each step."""
    ends, rows = [], []
    for watched in (False, True):
        params = two()
        optimizer = optim.AdamW(params, lr=0.125, rule="hybrid", stepsize="trust_ratio")
        if watched:
            optim.monitor(optimizer, lambda step, row: rows.append(row), every=1)
        for _ in range(4):
            optimizer.step(backward(optimizer, quadratic(params)))
        ends.append(params)
    for p, q in zip(*ends, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-13, atol=0)
    assert len(rows) == 4
    assert all(row["update_ratio/all"] > 0 for row in rows)
