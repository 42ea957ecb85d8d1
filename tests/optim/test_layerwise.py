"""Layer-wise step sizes: the curvature against the exact Hessian, the steps against a reference; by
differences of gradients and by second derivatives."""

import copy
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gofau import optim
from gofau.optim import layerwise
from gofau.optim.evidence import Gathered
from gofau.optim.layerwise import LayerwiseStepSize
from gofau.optim.stepsize import Layer, get_stepsize
from tests.optim.stepping import FOREACH, FUSED, LOOP, RULES

PATHS: dict[str, dict[str, Any]] = {"loop": LOOP, "foreach": FOREACH, "fused": FUSED}
SIZES = ("layerwise", "layerwise_exact")
SYSTEMS = {
    "sgd": (optim.SGD, {"momentum": 0.9}),
    "adamw": (optim.AdamW, {"weight_decay": 0.1}),
}


@pytest.fixture(params=SIZES)
def size(request):
    return request.param


def take(optimizer, loss):
    """One step with the closure that the step size wants."""

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    return optimizer.step(loss if "curvature" in optimizer.needs else closure)


def network(dtype=torch.float64):
    """A model, its loss on eight examples, and these."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(dtype)
    x, y = torch.randn(8, 3, dtype=dtype), torch.arange(8) % 2
    return model, lambda: nn.functional.cross_entropy(model(x), y), (x, y)


def blocks():
    """½·Σ θᵀHθ, H symmetric with eigenvalues of both signs, one block for each of two layers."""
    generator = torch.Generator().manual_seed(1)
    hessians = []
    for n in (3, 4):
        a = torch.randn(n, n, generator=generator, dtype=torch.float64)
        hessians.append((a + a.T) / 2 + torch.eye(n))
    params = [
        torch.randn(n, generator=generator, dtype=torch.float64).requires_grad_() for n in (3, 4)
    ]

    def loss():
        return sum(0.5 * p @ h @ p for p, h in zip(params, hessians, strict=True))

    return params, hessians, loss


# The curvature.


class Estimate:
    """Estimates of dᵀH_ℓℓd for a small network, and what they estimate."""

    def __init__(self, size):
        model, self.loss, data = network()
        named = get_stepsize(size)
        assert isinstance(named, LayerwiseStepSize)
        self.size = named
        self.params = list(model.parameters())
        self.ds = [torch.randn_like(p) for p in self.params]
        self.states = [{"signs": 0} for _ in self.params]
        self.gathered = Gathered(self.evaluate, self.params, self.size.needs)
        self.exact = self._exact(model, *data)

    def evaluate(self):
        value = self.loss()
        if "curvature" not in self.size.needs:
            value.backward()
        return value

    def _exact(self, model, x, y):
        names = [name for name, _ in model.named_parameters()]

        def of(*values):
            weights = dict(zip(names, values, strict=True))
            return nn.functional.cross_entropy(torch.func.functional_call(model, weights, x), y)

        whole = torch.autograd.functional.hessian(of, tuple(p.detach() for p in self.params))
        found = []
        for i, d in enumerate(self.ds):
            block = whole[i][i].reshape(d.numel(), d.numel())
            found.append((d.flatten() @ block @ d.flatten()).item())
        return np.array(found)

    def draw(self):
        parts = zip(self.params, self.ds, self.states, strict=True)
        layers = [Layer(p.detach(), d, d, state) for p, d, state in parts]
        evidence = self.gathered.evidence(self.params)
        found = self.size.curvatures(layers, {"radius": 1e-6}, evidence)
        return np.array([c.item() for c in found])


def test_the_mean_over_all_signs_is_the_block_curvature(monkeypatch, size):
    estimate = Estimate(size)
    found = []
    for signs in itertools.product((1, -1), repeat=4):
        monkeypatch.setattr(layerwise, "_next_sign", lambda place, state, signs=signs: signs[place])
        found.append(estimate.draw())
    assert np.allclose(np.mean(found, 0), estimate.exact, rtol=1e-5)
    assert np.std(found, 0).min() > 1e-3  # so there was something to average


def test_its_own_signs_are_unbiased_within_the_standard_error(size):
    estimate = Estimate(size)
    found = np.array([estimate.draw() for _ in range(1000)])
    error = found.std(0, ddof=1) / math.sqrt(len(found))
    assert (np.abs(found.mean(0) - estimate.exact) < 3.5 * error).all()


def test_the_signs_are_independent_fair_coins():
    states = [{"signs": 7 << 32} for _ in range(6)]
    signs = np.array(
        [[layerwise._next_sign(i, s) for i, s in enumerate(states)] for _ in range(4000)]
    )
    pairs = signs.T @ signs / len(signs)
    assert np.abs(pairs - np.eye(6)).max() < 4 / math.sqrt(len(signs))
    assert np.abs(signs.mean(0)).max() < 4 / math.sqrt(len(signs))
    lagged = (signs[1:] * signs[:-1]).mean(0)
    assert np.abs(lagged).max() < 4 / math.sqrt(len(signs))


# The step.


def direction(name, t, g, b):
    """d and the decoupled weight decay; advances the buffers."""
    if name == "sgd":
        b[0] = g if t == 1 else 0.9 * b[0] + g
        return b[0], 0.0
    b[0] = 0.9 * b[0] + 0.1 * g
    b[1] = 0.999 * b[1] + 0.001 * g**2
    return b[0] / (1 - 0.9**t) / (np.sqrt(b[1] / (1 - 0.999**t)) + 1e-8), 0.1


def reference(name, thetas, hessians, steps, lr, damping, smoothing, l_max):
    """A block-diagonal quadratic, on which the signs make no difference, in numpy."""
    thetas = [t.copy() for t in thetas]
    buffers = [[np.zeros_like(t), np.zeros_like(t)] for t in thetas]
    slopes, bends = np.zeros(len(thetas)), np.zeros(len(thetas))
    for t in range(1, steps + 1):
        gs = [h @ theta for h, theta in zip(hessians, thetas, strict=True)]
        found = [direction(name, t, g, b) for g, b in zip(gs, buffers, strict=True)]
        ds = [d for d, _ in found]
        own = np.array([abs(d @ h @ d) for d, h in zip(ds, hessians, strict=True)])
        size = np.array([d @ d for d in ds])
        q = (own + damping * size * own.sum() / size.sum()) / (1 + damping)
        slopes = smoothing * slopes + (1 - smoothing) * np.array(
            [g @ d for g, d in zip(gs, ds, strict=True)]
        )
        bends = smoothing * bends + (1 - smoothing) * q
        etas = lr * np.clip(slopes / (bends / (1 - smoothing**t)), 0, l_max)
        for i, (d, decay) in enumerate(found):
            thetas[i] = thetas[i] * (1 - etas[i] * decay) - etas[i] * d
    return thetas


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("options", [(1, 0.95, None), (0.5, 0.0, 0.05), (0, 0.5, 0.2)], ids=str)
@pytest.mark.parametrize("name", SYSTEMS)
def test_it_is_the_formula_over_30_steps(name, options, path, size):
    damping, smoothing, l_max = options
    params, hessians, loss = blocks()
    before = [p.detach().numpy().copy() for p in params]
    make, more = SYSTEMS[name]
    own = {"damping": damping, "smoothing": smoothing, "l_max": l_max}
    optimizer = make(params, lr=0.5, stepsize=size, **own, **more, **PATHS[path])
    for _ in range(30):
        take(optimizer, loss)
    limit = math.inf if l_max is None else l_max
    numbers = (0.5, damping, smoothing, limit)
    expected = reference(name, before, [h.numpy() for h in hessians], 30, *numbers)
    for p, theta in zip(params, expected, strict=True):
        assert np.allclose(p.detach().numpy(), theta, rtol=1e-8)


@pytest.mark.parametrize("path", PATHS)
def test_without_damping_and_smoothing_it_is_the_exact_line_search_per_block(path, size):
    params, hessians, loss = blocks()
    before = [p.detach().clone() for p in params]
    own = {"damping": 0, "smoothing": 0, "l_max": 1e9}
    optimizer = optim.SGD(params, lr=1, stepsize=size, **own, **PATHS[path])
    take(optimizer, loss)
    for p, theta, h in zip(params, before, hessians, strict=True):
        g = h @ theta
        torch.testing.assert_close(p.detach(), theta - (g @ g) / (g @ h @ g).abs() * g)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("base", ["sgd", "adamw"])
def test_every_path_steps_a_network_alike_with_every_rule(base, rule, size):
    ends = []
    for path in PATHS.values():
        model, loss, _ = network()
        make, more = SYSTEMS[base]
        options = {"rule": rule, "l_max": 0.5, **more, **path}
        optimizer = make(model.parameters(), lr=0.5, stepsize=size, **options)
        for _ in range(6):
            take(optimizer, loss)
        ends.append([p.detach() for p in model.parameters()])
    for other in ends[1:]:
        for p, q in zip(ends[0], other, strict=True):
            torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)


def one(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


@pytest.fixture
def made(size):
    def make(p, **options):
        return optim.SGD([p], **{"lr": 1, "stepsize": size, "smoothing": 0} | options)

    return make


def test_negative_curvature_counts_by_its_size(made):
    p = one(2.0, -1.0)
    take(made(p), lambda: -2 * p.square().sum())  # g = −4θ, H = −4
    torch.testing.assert_close(p.detach(), one(4.0, -2.0).detach())


@pytest.mark.parametrize("damping", [0.5, 2])
def test_a_flat_layer_takes_the_mean_curvature_and_the_mean_layer_its_own(damping, size):
    """With equal ‖d‖ a curvature of 8 and one of 0 have the mean 4."""
    p, q = one(1.0, 0.0), one(0.0, 0.0)
    optimizer = optim.SGD([p, q], lr=1, stepsize=size, smoothing=0, damping=damping)
    take(optimizer, lambda: 4 * p.square().sum() + 8 * q[0])
    steep, flat = (8 + 4 * damping) / (1 + damping), 4 * damping / (1 + damping)
    assert p.tolist() == pytest.approx([1 - 8 / steep, 0], abs=1e-9)
    assert q.tolist() == pytest.approx([-8 / flat, 0], rel=1e-9)


@pytest.mark.parametrize("damping", [0, 1])
def test_where_all_curvature_vanishes_everything_waits(damping, made):
    q = one(1.0, 1.0)
    take(made(q, damping=damping), lambda: 3 * q.sum())
    assert q.tolist() == [1, 1]


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_unit_of_the_loss_makes_no_difference(name, size):
    ends = []
    for unit in (1.0, 1e-6):
        model, loss, _ = network()
        make, more = SYSTEMS[name]
        more = more | ({"eps": 1e-30} if name == "adamw" else {})
        optimizer = make(model.parameters(), lr=1, stepsize=size, **more)
        for _ in range(10):
            take(optimizer, lambda unit=unit, loss=loss: unit * loss())
        ends.append([p.detach() for p in model.parameters()])
    for p, q in zip(*ends, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-9)


def test_it_warms_up_with_its_averages(made):
    """On a quadratic without momentum all estimates are alike: the first steps are 1 − βᵗ of the
    line search."""
    p = one(1.0)
    optimizer = made(p, smoothing=0.8, lr=1e-6)  # so small a step that the slope stays
    steps = []
    for _ in range(12):
        before = p.item()
        take(optimizer, lambda: p.square().sum())
        steps.append(1e6 * (before - p.item()))
    assert steps == pytest.approx([1 - 0.8**t for t in range(1, 13)], rel=1e-4)


@pytest.mark.parametrize("smoothing", [0, 0.95])
def test_without_a_gradient_nothing_moves_and_nothing_is_lost(smoothing, made):
    p = one(0.0, 0.0)
    at = torch.zeros(2, dtype=torch.float64)
    optimizer = made(p, smoothing=smoothing, damping=0)
    take(optimizer, lambda: (p - at).square().sum())
    assert p.tolist() == [0, 0]
    at = torch.ones(2, dtype=torch.float64)
    take(optimizer, lambda: (p - at).square().sum())
    expected = 1 - smoothing**2  # the first step counts: its curvature was 0, as its d was
    assert p.tolist() == pytest.approx([expected] * 2, rel=1e-9)
    assert optimizer.state[p]["slope"].isfinite()


def test_a_direction_that_points_up_waits(made):
    p = one(1.0)
    optimizer = made(p, momentum=0.9, damping=1.0)
    take(optimizer, lambda: 4 * p.sum())
    before = p.item()
    take(optimizer, lambda: -p.sum())  # d = 0.9·4 − 1 > 0, g < 0
    assert p.item() == before


def test_it_never_exceeds_l_max_and_lr_is_a_factor_of_that(made):
    p = one(1.0)
    take(made(p, lr=0.5, l_max=0.25, damping=0), lambda: p.sum() + 1e-9 * p.square().sum())
    assert p.item() == pytest.approx(1 - 0.125)


def test_maximize_climbs_by_the_same_step(made):
    p, q = one(2.0, 1.0), one(2.0, 1.0)
    take(made(p), lambda: p.square().sum())
    take(made(q, maximize=True), lambda: -q.square().sum())
    assert torch.equal(p, q)


def test_an_estimate_that_is_not_finite_is_left_out(made):
    p = one(1.0)
    optimizer = made(p, smoothing=0.5)
    take(optimizer, lambda: p.square().sum())
    known = {k: v.clone() for k, v in optimizer.state[p].items() if torch.is_tensor(v)}
    # √|x − p| of x → p has a curvature that overflows, its slope here does not.
    with torch.no_grad():
        p.fill_(1e-220)
    take(optimizer, lambda: p.abs().pow(0.5).sum())
    for name, value in known.items():
        assert optimizer.state[p][name] == value
    assert p.isfinite().all()


def test_layers_without_a_gradient_are_left_out(size):
    p, idle = one(1.0), one(1.0)
    optimizer = optim.SGD([p, idle], lr=1, stepsize=size, smoothing=0)
    take(optimizer, lambda: p.square().sum())
    assert p.item() == pytest.approx(0, abs=1e-12)
    assert idle.item() == 1
    assert idle not in optimizer.state


def test_of_bfloat16_the_step_is_float32s_rounded(size):
    w = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
    ends = []
    for dtype in (torch.bfloat16, torch.float32):
        p = w.bfloat16().to(dtype).requires_grad_()
        own: dict[str, Any] = {} if size == "layerwise_exact" else {"radius": 0.01}
        optimizer = optim.SGD([p], lr=1, stepsize=size, **own)
        take(optimizer, lambda p=p: (p.float() ** 4).mean())
        assert optimizer.state[p]["curvature"].dtype == torch.float32
        ends.append(p.detach())
    torch.testing.assert_close(ends[0].float(), ends[1], rtol=0.02, atol=0.01)


def test_with_bfloat16_weights_it_goes_on_after_loading(size):
    """torch casts the averages to the weights' dtype then, so they are rounded once."""
    ends = []
    for stop in (None, 3):
        p = torch.linspace(1, 2, 6).bfloat16().requires_grad_()
        own: dict[str, Any] = {} if size == "layerwise_exact" else {"radius": 0.01}
        optimizer = optim.SGD([p], lr=1, stepsize=size, **own)
        for t in range(6):
            if t == stop:
                state = optimizer.state_dict()
                optimizer = optim.SGD([p], lr=1, stepsize=size, **own)
                optimizer.load_state_dict(state)
            take(optimizer, lambda p=p: (p.float() ** 4).mean())
        assert optimizer.state[p]["curvature"].dtype == torch.float32
        ends.append(p.detach())
    torch.testing.assert_close(*ends, rtol=0.02, atol=0.01)


# What goes with it.


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_run_that_is_resumed_goes_on_to_the_bit(name, path, size):
    make, more = SYSTEMS[name]
    options = {"lr": 0.5, "stepsize": size, **more, **PATHS[path]}
    ends = []
    for stop in (6, 2):
        torch.manual_seed(11)
        model, loss, _ = network(torch.float32)
        optimizer = make(model.parameters(), **options)
        for _ in range(stop):
            take(optimizer, loss)
        state = copy.deepcopy(optimizer.state_dict())
        torch.manual_seed(99)  # another process, another past
        again = make(model.parameters(), **options)
        again.load_state_dict(state)
        for _ in range(6 - stop):
            take(again, loss)
        ends.append([p.detach() for p in model.parameters()])
    assert all(torch.equal(p, q) for p, q in zip(*ends, strict=True))


def test_torchs_seed_decides_the_signs_and_its_random_numbers_are_left_alone(size):
    states = []
    for seed in (0, 0, 1):
        model, loss, _ = network()
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        optimizer = optim.SGD(model.parameters(), lr=1, stepsize=size)
        for _ in range(3):
            take(optimizer, loss)
        assert torch.equal(torch.get_rng_state(), before)
        states.append([p.detach() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(states[0], states[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(states[0], states[2], strict=True))


def test_gradients_can_be_clipped_before_they_are_used(made):
    p = one(3.0, 4.0)
    optimizer = made(p, damping=0)
    optimizer.on_gradients = (lambda _: nn.utils.clip_grad_norm_([p], 1.0),)
    take(optimizer, lambda: p.square().sum())  # l = 1/2 as ever, and the step is half as long as 1
    torch.testing.assert_close(p.detach().norm().item(), 4.5, rtol=1e-5, atol=0)


def test_what_a_step_does_can_be_observed(made):
    p = one(3.0, 4.0)
    optimizer = made(p, damping=0, lr=0.5)
    with optim.observe(optimizer) as seen:
        take(optimizer, lambda: p.square().sum())
    assert seen.result()["update_ratio/all"] == pytest.approx(0.5)
    assert optimizer.on_gradients == ()


def test_wrong_use_is_told(made, size):
    p = one(1.0)
    optimizer = made(p)
    (need,) = optimizer.needs
    with pytest.raises(RuntimeError, match=rf"needs the {need}: call step\(closure\)"):
        optimizer.step()
    with pytest.raises(ValueError, match=f"step size '{size}' needs more than the step"):
        optim.attach(torch.optim.SGD([p], lr=1), stepsize=size)
    for name, bad, why in (
        ("damping", -1, "≥ 0 and finite"),
        ("smoothing", 1, r"in \[0, 1\)"),
        ("l_max", 0, "> 0 and finite"),
        ("damping", None, "a number"),
    ):
        with pytest.raises(ValueError, match=rf"{name} must be {why}, got {bad}"):
            made(p, **{name: bad})


def attention():
    q = torch.randn(1, 1, 8, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    fused = nn.functional.scaled_dot_product_attention
    return q, lambda: fused(q, q, q, is_causal=True).square().sum()


def test_a_model_without_a_second_derivative_is_told():
    q, loss = attention()
    optimizer = optim.SGD([q], lr=1, stepsize="layerwise_exact")
    with pytest.raises(RuntimeError, match=r"operation without a second derivative: .*attention"):
        take(optimizer, loss)


def test_second_derivatives_need_a_loss_with_its_graph():
    optimizer = optim.SGD([one(1.0)], lr=1, stepsize="layerwise_exact")
    with pytest.raises(RuntimeError, match="must return the loss, without backward"):
        optimizer.step(lambda: 1.0)


# A difference of gradients.


def test_a_difference_needs_no_second_derivative():
    q, loss = attention()
    before = loss().item()
    optimizer = optim.SGD([q], lr=1, stepsize="layerwise")
    for _ in range(5):
        take(optimizer, loss)
    assert loss().item() < 0.5 * before


def test_a_difference_is_nearly_the_second_derivative():
    """On a smooth network, over 10 steps."""
    ends, radius = [], {"radius": 1e-7}
    options: list[dict[str, Any]] = [radius, {}]
    for size, own in zip(SIZES, options, strict=True):
        model, loss, _ = network()
        torch.manual_seed(5)
        optimizer = optim.SGD(model.parameters(), lr=0.2, stepsize=size, **own)
        for _ in range(10):
            take(optimizer, loss)
        ends.append([p.detach() for p in model.parameters()])
    for p, q in zip(*ends, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_the_second_look_leaves_no_trace(set_to_none):
    """Dropout is the same both times, and of the run's random numbers none more is used than by the
    plain step; weights are back to the bit, and so are gradients, of other groups as well."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(3, 40), nn.Dropout(0.5), nn.Linear(40, 1)).double()
    x, masks, seen = torch.ones(1, 3, dtype=torch.float64), [], []
    model[1].register_forward_hook(lambda _, inputs, out: masks.append(out.detach() == 0))
    groups = [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0}]
    optimizer = optim.SGD(groups, lr=0, stepsize="layerwise")
    take(optimizer, lambda: model(x).square().sum())  # the gradients that set_to_none would change

    def closure():
        optimizer.zero_grad(set_to_none=set_to_none)
        loss = model(x).square().sum()
        loss.backward()
        seen.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
        return loss

    before = [p.detach().clone() for p in model.parameters()]
    torch.manual_seed(7)
    masks.clear()
    loss = optimizer.step(closure)
    after = torch.get_rng_state()
    assert len(seen) == len(masks) == 3  # one more for each of two groups
    assert torch.equal(masks[0], masks[1])
    assert torch.equal(masks[0], masks[2])
    assert not torch.equal(seen[0][0], seen[1][0])
    for p, old, grad in zip(model.parameters(), before, seen[0], strict=True):
        assert torch.equal(p, old)
        assert p.grad is not None
        assert torch.equal(p.grad, grad)
    torch.manual_seed(7)
    assert model(x).square().sum() == loss
    assert torch.equal(torch.get_rng_state(), after)


def test_when_the_closure_fails_the_weights_are_back():
    p, calls = one(3.0, 4.0), []

    def closure():
        calls.append(p.tolist())
        if len(calls) == 2:
            raise KeyboardInterrupt
        p.grad = 2 * p.detach()
        return p.square().sum()

    optimizer = optim.SGD([p], lr=1, stepsize="layerwise")
    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    assert calls[1] != calls[0] == p.tolist() == [3, 4]
    assert p.grad is not None
    assert p.grad.tolist() == [6, 8]
