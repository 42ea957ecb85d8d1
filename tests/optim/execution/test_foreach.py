"""The foreach path: no more operations and memory than torch's, and the plain loop's step."""

import math
from typing import Any

import pytest
import torch

import gofau.optim as optim
from gofau.optim.execution.foreach import buckets
from scripts.meter import Meter, sizes
from tests.optim.reference import BASES, CASES, IN_TORCH, LR, RICH
from tests.optim.stepping import (
    FOREACH,
    LOOP,
    RULES,
    assert_same,
    compare,
    parameters,
    run,
    set_gradients,
    steady,
)

ULP = {torch.bfloat16: 2**-7, torch.float16: 2**-10}


def metered(make, count=4, size=4000, dtype=torch.float32, missing=False):
    """What the third step asks for."""
    params = [torch.linspace(-1, 1, size, dtype=dtype).requires_grad_() for _ in range(count)]
    optimizer = make(params)
    meter = Meter()
    for t in range(3):
        for i, p in enumerate(params):
            p.grad = None if missing and t == 1 and i % 2 else torch.full_like(p, 0.5 + t)
        meter = Meter()
        with meter:
            optimizer.step()
    return meter, params


def ours(base, options, rule="additive"):
    return lambda params: BASES[base][0](params, lr=LR[base], rule=rule, foreach=True, **options)


def theirs(base, options):
    return lambda params: BASES[base][1](params, lr=LR[base], foreach=True, **options)


@pytest.mark.parametrize(("base", "options"), [c for c in CASES if c[0] in IN_TORCH], ids=str)
def test_no_more_operations_than_torch_and_six_for_hybrid(base, options):
    torchs = metered(theirs(base, options))[0].on_lists
    assert 0 < metered(ours(base, options))[0].on_lists <= torchs
    assert metered(ours(base, options, "hybrid"))[0].on_lists <= torchs + 6


@pytest.mark.parametrize(
    ("base", "options", "count"),
    [
        ("sgd", {}, 1),
        ("sgd", {"momentum": 0.9}, 3),
        ("adagrad", {}, 6),
        ("rmsprop", {}, 6),
        ("adam", {}, 8),
        ("adamw", {}, 9),
        ("lion", {}, 6),
        ("signsgd", {}, 2),
        ("signsgd", {"momentum": 0.9}, 4),
    ],
)
def test_the_operations_of_the_additive_rule_are_counted(base, options, count):
    assert metered(ours(base, options))[0].on_lists == count


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("base", BASES)
def test_no_operation_is_done_tensor_by_tensor(base, rule, missing):
    """But for reading the step number, which torch does too. With gradients missing at times the
    numbers differ."""
    few, many = (
        dict(metered(ours(base, RICH[base], rule), count, missing=missing)[0].operations)
        for count in (4, 12)
    )
    few.pop("_local_scalar_dense.default", None)
    many.pop("_local_scalar_dense.default", None)
    assert few == many


@pytest.mark.parametrize(("base", "options"), CASES, ids=str)
def test_temporaries_are_no_larger_than_torchs_or_the_parameters(base, options):
    theirs_at_most = max(1.0, sizes_of(theirs(base, options)))
    assert sizes_of(ours(base, options)) <= theirs_at_most + 0.01
    for rule in RULES[1:]:
        most = 3.01 if rule == "hypentropy" else 2.01  # it needs both β/θ and η·d at its end
        assert sizes_of(ours(base, options, rule)) <= most


def sizes_of(make, **kind):
    meter, params = metered(make, **kind)
    return sizes(meter.peak, params)


@pytest.mark.parametrize("dtype", ULP, ids=str)
@pytest.mark.parametrize("base", BASES)
def test_short_floats_are_widened_three_or_four_at_a_time(base, dtype):
    """A float32 tensor is twice as large."""
    for rule in RULES:
        assert sizes_of(ours(base, RICH[base], rule), dtype=dtype) <= 8.02


def test_a_large_list_goes_piece_by_piece(monkeypatch):
    whole, pieces = parameters(torch.float32), parameters(torch.float32)
    run("adam", FOREACH | {"rule": "hybrid"}, whole)
    assert sizes_of(ours("adam", {}, "hybrid"), count=8) > 1.99
    monkeypatch.setattr(buckets, "PIECE", 8000)
    run("adam", FOREACH | {"rule": "hybrid"}, pieces)
    assert_same(whole, pieces, 5e-7)
    assert sizes_of(ours("adam", {}, "hybrid"), count=8) < 0.51  # two of the eight at a time


@pytest.mark.parametrize("dtype", ULP, ids=str)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("base", BASES)
def test_short_floats_take_the_loops_step(base, rule, dtype):
    plain, fast = parameters(dtype), parameters(dtype)
    options = {"rule": rule, **steady(base)}
    options |= {"momentum": 0.9} if base == "sgd" else {}
    run(base, options | LOOP, plain, 3)
    run(base, options | FOREACH, fast, 3)
    for p, q in zip(fast, plain, strict=True):
        assert (p.stride(), p.dtype) == (q.stride(), dtype)
        torch.testing.assert_close(p, q, rtol=2 * ULP[dtype], atol=1e-3)


def as_on_a_device(x, like):
    """What a plan's coefficients are where they cannot be read without waiting."""
    x = torch.as_tensor(x, dtype=torch.bool if isinstance(x, bool) else like.dtype)
    return list(x.unbind()) if x.dim() else x


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("base", BASES)
def test_coefficients_may_be_tensors(base, rule, monkeypatch):
    monkeypatch.setattr(buckets, "_plain", as_on_a_device)
    compare(base, RICH[base] | {"rule": rule}, torch.float32, FOREACH)
    compare(base, {"rule": rule}, torch.float64, FOREACH)


@pytest.mark.parametrize("gamma", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("base", BASES)
def test_hyperparameters_may_be_tensors(base, gamma):
    options = {"rule": "hybrid", "gamma": torch.tensor(gamma), "eta_in": torch.tensor(2.0)}
    options["lr"] = torch.tensor(0.01)
    compare(base, RICH[base] | options, torch.float32, FOREACH)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("gamma", [0, 0.5, 1])
def test_what_is_not_finite_in_the_loop_is_not_finite_here(base, rule, gamma):
    strange = torch.tensor([math.inf, -math.inf, math.nan, 3e38, -3e38, 1e-45, 0.0, 1.0])
    ends = []
    for path in (LOOP, FOREACH):
        p = torch.stack([torch.full((8,), x) for x in (-2.0, 0.0, 1e-30, 3.0)]).requires_grad_()
        options = {"momentum": 0.9} if base == "sgd" else {}
        optimizer = BASES[base][0]([p], lr=0.1, rule=rule, gamma=gamma, **options, **path)
        for g in (torch.ones(4, 8), strange.expand(4, 8), -strange.expand(4, 8)):
            p.grad = g.clone()
            optimizer.step()
        ends.append(p.detach())
    assert torch.equal(ends[0].isfinite(), ends[1].isfinite())
    finite = ends[0].isfinite()
    torch.testing.assert_close(ends[1][finite], ends[0][finite], rtol=2e-6, atol=1e-30)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("base", BASES)
def test_gradients_are_left_as_they_are(base, rule):
    params = parameters(torch.float32)
    optimizer = BASES[base][0](params, lr=0.1, rule=rule, foreach=True, **RICH[base])
    for t in range(3):
        set_gradients(params, t)
        before = [None if p.grad is None else (p.grad.clone(), p.grad._version) for p in params]
        optimizer.step()
        for p, was in zip(params, before, strict=True):
            if p.grad is not None and was is not None:
                assert torch.equal(p.grad, was[0])
                assert p.grad._version == was[1]


XIS: dict[str, Any] = {
    "all of it": lambda theta, d, eta: theta,
    "a constant": lambda theta, d, eta: torch.full_like(d, 0.1),
    "quotients": lambda theta, d, eta: eta * d / (theta + 9) + 1 / (d + 20) / 5,
    "a quotient times a product": lambda theta, d, eta: (theta * d) * (d / (theta + 9)) * eta,
    "reciprocals": lambda theta, d, eta: eta * (d + 20).reciprocal() * (theta + 9).reciprocal(),
    "a number less": lambda theta, d, eta: (eta - d) * 0.1 + torch.rsub(d, theta, alpha=0.5) * eta,
    "products": lambda theta, d, eta: d * d * theta * eta + theta * theta * 0.01,
    "products alone": lambda theta, d, eta: d * d * eta - d * theta * eta + 0.1,
    "one value thrice": lambda theta, d, eta: (x := eta * d / (theta.abs() + 1)) * x.tanh() + x,
    "extrema": lambda theta, d, eta: eta * torch.maximum(theta, d).clamp(-0.5, 0.7),
    "one bound": lambda theta, d, eta: eta * (d.clamp(max=0.1) + d.clamp(min=-0.1)),
    "choices": lambda theta, d, eta: torch.where(theta > d, theta, d) * eta + (theta > 0) * d * 0.1,
    "combined": lambda theta, d, eta: eta * torch.lerp(theta, d, 0.25).addcmul(d, d, value=0.1),
    "by hand": lambda theta, d, eta: (theta + 0.25 * (d - theta)) * eta,
    "scaled sums": lambda theta, d, eta: (
        torch.sub(d, theta, alpha=0.5) * eta + theta.neg().neg() * 0.1
    ),
    "functions": lambda theta, d, eta: eta * (d.sin() + theta.abs().sqrt() + d.abs().log1p()),
    "powers": lambda theta, d, eta: eta * (d**3 + theta.abs() ** 0.5),
}


@pytest.mark.parametrize("base", ["sgd", "adamw"])
@pytest.mark.parametrize("xi", XIS.values(), ids=XIS)
def test_rules_of_ones_own_mean_the_same(xi, base, own_rules):
    optim.register_rule("own")(xi)
    plain, fast = parameters(torch.float64), parameters(torch.float64)
    options = {"rule": "own", "weight_decay": 0.1, "zero_init": "freeze"}
    run(base, options | LOOP, plain, 3)
    run(base, options | FOREACH, fast, 3)
    assert_same(fast, plain, 1e-12)


def test_a_coefficient_may_divide_by_zero(own_rules):
    @optim.register_rule("own")
    def own(theta, d, eta, *, size):
        return d / size

    ends = []
    paths: list[dict[str, Any]] = [LOOP, FOREACH]
    for path in paths:
        p = torch.ones(3, requires_grad=True)
        p.grad = torch.tensor([1.0, -1.0, 0.0])
        optim.SGD([p], lr=0.1, rule="own", size=0.0, **path).step()
        ends.append(p.detach())
    torch.testing.assert_close(ends[1], ends[0], equal_nan=True)
    assert ends[0][0] == -math.inf


def test_a_weighted_sum_overflows_only_where_the_loops_does(own_rules):
    """x + w·(y − x) would be infinite here on the way to 3/4·x + 1/4·y."""
    optim.register_rule("own")(lambda theta, d, eta: eta * (0.75 * theta + 0.25 * d).abs())
    p = torch.full((2,), 3e38, requires_grad=True)
    p.grad = torch.full((2,), -3e38)
    optim.SGD([p], lr=1.0, rule="own", foreach=True).step()
    torch.testing.assert_close(p.detach(), torch.full((2,), 1.5e38))
