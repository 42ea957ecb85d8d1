"""The trust ratio: LAMB and LARS by short references, and what it promises, on every path."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gofau.optim as optim
from tests.optim import stepping
from tests.optim.reference import BASES, RICH, TABLE
from tests.optim.stepping import FOREACH, FUSED, LOOP, RULES

STEPS = 200
PATHS: dict[str, dict[str, Any]] = {
    "loop": LOOP,
    "foreach": FOREACH,
    "fused": FUSED,
    "differentiable": {},
}
PATHS["differentiable"] = {"differentiable": True}
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def ratio(p, d):
    a, b = p.norm(), d.norm()
    return a / b if a > 0 and b > 0 else 1.0


class Lamb:
    """AdamW × trust ratio, after algorithm 2 of arXiv 1904.00962, with the decay decoupled."""

    def __init__(self, params, lr, weight_decay=0.01, betas=(0.9, 0.999), eps=1e-8):
        self.params, self.lr, self.decay, self.betas, self.eps = (
            params,
            lr,
            weight_decay,
            betas,
            eps,
        )
        self.m, self.v = ([torch.zeros_like(p) for p in params] for _ in "mv")
        self.t = 0

    def step(self):
        self.t += 1
        (beta1, beta2), rows = self.betas, zip(self.params, self.m, self.v, strict=True)
        for p, m, v in rows:
            m.copy_(beta1 * m + (1 - beta1) * p.grad)
            v.copy_(beta2 * v + (1 - beta2) * p.grad**2)
            r = m / (1 - beta1**self.t) / ((v / (1 - beta2**self.t)).sqrt() + self.eps)
            p.copy_(p - self.lr * self.decay * p - self.lr * ratio(p, r) * r)


class Lars:
    """SGD with momentum × trust ratio, the ratio after the momentum; L2 weight decay inside."""

    def __init__(self, params, lr, momentum=0.9, weight_decay=0.0):
        self.params, self.lr, self.mu, self.decay = params, lr, momentum, weight_decay
        self.b: list = [None] * len(params)

    def step(self):
        for i, p in enumerate(self.params):
            g, b = p.grad + self.decay * p, self.b[i]
            self.b[i] = b = g if b is None else self.mu * b + g
            p.copy_(p - self.lr * ratio(p, b) * b)


SYSTEMS = {
    "lamb": (Lamb, optim.AdamW, {"lr": 0.02, "weight_decay": 0.05}),
    "lamb without decay": (Lamb, optim.Adam, {"lr": 0.02, "weight_decay": 0.0}),
    "lars": (Lars, optim.SGD, {"lr": 0.02, "momentum": 0.9}),
    "lars with decay": (Lars, optim.SGD, {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}),
}


def weights(dtype, seed=0):
    """A matrix, 0-d, a view with holes, channels-last, all zero, and one element short of two."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(33, 17), (), (6, 8), (4, 3, 2, 2), (9,), (1,)]
    values = [torch.randn(s, generator=generator, dtype=torch.float64).to(dtype) for s in shapes]
    values[2] = values[2][:, ::2]
    values[3] = values[3].contiguous(memory_format=torch.channels_last)
    values[4] = torch.zeros_like(values[4])
    return values


def set_gradients(params, t):
    """Convex with bounded gradients, so that rounding does not grow."""
    with torch.no_grad():
        for i, p in enumerate(params):
            p.grad = torch.tanh(p.detach() - math.sin(0.3 * t + i))


def walk(optimizer, params, steps=STEPS):
    for t in range(steps):
        set_gradients(params, t)
        optimizer.step()


def worst(ours, theirs):
    pairs = zip(ours, theirs, strict=True)
    return max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs)


def expected(system, dtype):
    make, _, options = SYSTEMS[system]
    params = weights(dtype)
    walk(make(params, **options), params)
    return params


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("system", SYSTEMS)
def test_it_is_lamb_and_lars_over_200_steps(system, dtype, path):
    _, make, options = SYSTEMS[system]
    params = weights(dtype)  # they need no gradient: a differentiable step would keep all 200
    optimizer = make(params, stepsize="trust_ratio", **options, **PATHS[path])
    walk(optimizer, params)
    assert worst(params, expected(system, dtype)) <= TOLERANCE[dtype]


@pytest.mark.parametrize("path", ["loop", "foreach", "fused"])
@pytest.mark.parametrize("system", ["lamb", "lars"])
def test_short_floats_follow_with_the_rounding_of_their_weights(system, path):
    """In bfloat16 each step rounds the weights to 2⁻⁹, and norms of 561 elements are not lost: the
    walk stays near that without rounding, and the same on every path."""
    reference, make, options = SYSTEMS[system]
    ends = []
    for flags in (LOOP, PATHS[path]):
        params = [p.requires_grad_() for p in weights(torch.bfloat16)]
        walk(make(params, stepsize="trust_ratio", **options, **flags), params, 30)
        ends.append([p.detach().double() for p in params])
    plain = [p.double() for p in weights(torch.bfloat16)]
    walk(reference(plain, **options), plain, 30)
    assert worst(ends[1], ends[0]) <= 0.01
    assert worst(ends[0], plain) <= 0.1


@pytest.mark.parametrize("path", [FOREACH, FUSED], ids=["foreach", "fused"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("base", BASES)
def test_every_base_and_rule_steps_alike_on_every_path(base, rule, dtype, path):
    options = RICH[base] | {"rule": rule, "stepsize": "trust_ratio", "lr": 0.01}
    stepping.compare(base, options, dtype, path)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("system", ["lamb", "lars"])
def test_attached_to_torchs_optimizer_it_is_our_own(system, rule):
    _, ours, options = SYSTEMS[system]
    theirs = getattr(torch.optim, ours.__name__)
    a, b = ([p.requires_grad_() for p in weights(torch.float64)] for _ in "ab")
    walk(ours(a, rule=rule, stepsize="trust_ratio", **options), a, 50)
    other = theirs(b, **options)
    handle = optim.attach(other, rule=rule, stepsize="trust_ratio")
    walk(other, b, 50)
    assert other.param_groups[0]["gofau_stepsize"] == "trust_ratio"
    assert worst(a, b) <= 1e-10  # d has passed through the rounding of the weights
    handle.remove()
    assert "gofau_stepsize" not in other.param_groups[0]


def test_attached_in_bfloat16_it_is_computed_in_float32():
    p = torch.tensor([3.0, 4.0], dtype=torch.bfloat16, requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=1.0)
    optim.attach(optimizer, rule="additive", stepsize="trust_ratio")
    p.grad = torch.tensor([0.0, 2.0], dtype=torch.bfloat16)
    optimizer.step()  # ‖θ‖/‖d‖ = 5/2
    assert p.tolist() == [3.0, -1.0]


def test_compiled_it_is_the_same():
    ends = []
    for compiled in (False, True):
        params = [p.requires_grad_() for p in weights(torch.float64)[:2]]
        flags: dict = LOOP | {"rule": "hybrid", "stepsize": "trust_ratio"}
        optimizer = optim.AdamW(params, lr=0.02, **flags)
        step = torch.compile(optimizer.step, backend="eager") if compiled else optimizer.step
        for t in range(3):
            set_gradients(params, t)
            step()
        ends.append(params)
    assert worst(*ends) <= 1e-13


def test_autograd_sees_through_it():
    """‖θ_1‖ of one SGD step, differentiated by the scale of the gradient, which cancels."""
    theta = torch.tensor([3.0, 4.0], dtype=torch.float64)
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    p = theta.clone()
    optimizer = optim.SGD([p], lr=0.5, stepsize="trust_ratio", differentiable=True)
    p.grad = scale * torch.tensor([0.0, 1.0], dtype=torch.float64)
    optimizer.step()
    assert p.tolist() == [3.0, 1.5]
    (slope,) = torch.autograd.grad(p.sum(), scale)
    assert slope.item() == pytest.approx(0, abs=1e-12)


# What it promises.


@given(
    base=st.sampled_from(sorted(BASES)),
    path=st.sampled_from(["loop", "foreach", "fused"]),
    lr=st.floats(1e-4, 0.5),
    size=st.floats(1e-3, 1e3),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=40)
def test_an_additive_step_is_as_long_as_the_rate_says(base, path, lr, size, seed):
    """‖Δθ‖ = η·‖θ‖, whatever the gradient's size and the weights'."""
    p = size * torch.randn(7, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    before, p = p.clone(), p.requires_grad_()
    options = {} if TABLE[base].decay is None else {"weight_decay": 0.0}
    optimizer = BASES[base][0]([p], lr=lr, stepsize="trust_ratio", **options, **PATHS[path])
    p.grad = torch.randn(p.shape, dtype=p.dtype, generator=torch.Generator().manual_seed(seed + 1))
    optimizer.step()
    moved = (p.detach() - before).norm() / before.norm()
    assert moved.item() == pytest.approx(lr, rel=1e-9)


@pytest.mark.parametrize("path", ["loop", "foreach", "fused"])
def test_where_a_norm_is_zero_or_not_finite_the_step_is_the_bases_own(path):
    nothing, big = torch.zeros(2), torch.full((2,), 3e38)
    cases = [
        (nothing, torch.tensor([1.0, 2.0])),
        (torch.tensor([1.0, 2.0]), nothing),
        (torch.tensor([1.0, 2.0]), torch.tensor([math.inf, 1.0])),
        (torch.tensor([1.0, 2.0]), torch.tensor([math.nan, 1.0])),
        (torch.tensor([1.0, 2.0]), big),  # its norm overflows
        (torch.zeros(0), torch.zeros(0)),
    ]
    ends = []
    for stepsize in ("base", "trust_ratio"):
        params = [theta.clone().requires_grad_() for theta, _ in cases]
        for p, (_, g) in zip(params, cases, strict=True):
            p.grad = g.clone()
        optim.SGD(params, lr=0.5, stepsize=stepsize, **PATHS[path]).step()
        ends.append([p.detach() for p in params])
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("path", ["loop", "foreach", "fused"])
def test_one_tensors_fault_is_not_anothers(path):
    params = [torch.tensor([3.0, 4.0]).requires_grad_() for _ in "ab"]
    params[0].grad, params[1].grad = torch.tensor([math.nan, 1.0]), torch.tensor([0.0, 2.0])
    optim.SGD(params, lr=0.5, stepsize="trust_ratio", **PATHS[path]).step()
    assert params[1].tolist() == [3.0, 1.5]


@pytest.mark.parametrize("path", ["loop", "foreach", "fused"])
def test_tensors_that_start_at_zero_move(path):
    """Additively at first, and in proportion to their weights from then on."""
    p = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    options = {"lr": 0.5, "rule": "multiplicative", "stepsize": "trust_ratio"}
    optimizer = optim.SGD([p], **options, **PATHS[path])
    for expected in ([0.0, -1.0], [0.0, -1.5]):
        p.grad = torch.tensor([0.0, 2.0], dtype=p.dtype)
        optimizer.step()
        assert p.tolist() == expected
