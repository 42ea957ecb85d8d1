"""HAM beside a reference of fifteen lines, with any base and rule, on every path."""

import copy
import math
from itertools import cycle
from typing import Any

import pytest
import torch
from torch import Tensor

from gofau import optim
from gofau.optim.execution.native import compiler
from tests.optim.reference import BASES, LR, TABLE
from tests.optim.stepping import FOREACH, FUSED, LOOP, RULES

needs_compiler = pytest.mark.skipif(compiler.find() is None, reason="no C compiler")
PATHS = [LOOP, FOREACH, pytest.param(FUSED, marks=needs_compiler)]
SHAPES = [(40, 3), (7,), ()]
MOMENTUM, DECAY = 0.9, 0.05
OPTIONS: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": MOMENTUM, "weight_decay": DECAY},
    "adamw": {"weight_decay": DECAY},
}
SCHEDULE = {100: 0.5, 150: 0.1}
"""Steps done → the factor of the learning rate from then on."""


def reference(theta, gradient, steps, base, rule, lr, alpha=200.0, beta=1e-3, eta_in=1.0):
    """Algorithm 1 of arXiv 2506.02630 after SGD with momentum and L2 decay, or after AdamW."""
    m, v = torch.zeros_like(theta), torch.zeros_like(theta)
    for t in range(1, steps + 1):
        g = gradient(theta, t)
        eta = lr * math.prod(factor for start, factor in SCHEDULE.items() if t > start)
        if base == "sgd":
            m = MOMENTUM * m + g + DECAY * theta
            d = m
        else:
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            d = m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
            theta = theta * (1 - eta * DECAY)
        straight = rule == "additive"
        theta = theta - eta * (d if straight else theta.abs() * torch.tanh(eta_in * d))
        theta = theta * torch.exp(eta * (-alpha * torch.sign(theta) * g - beta))
    return theta


def gradient(i):
    return lambda theta, t: torch.tanh(theta - 2 * math.sin(0.3 * t + i))


def starts(dtype) -> list[Tensor]:
    """One weight is zero; the multiplicative rule never moves it, nor does HAM."""
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(s, generator=generator, dtype=torch.float64) for s in SHAPES]
    drawn[0][0] = 0
    return [x.to(dtype).requires_grad_() for x in drawn]


def gradients(dtype):
    """Those of the first step."""
    return [gradient(i)(p.detach(), 1) for i, p in enumerate(starts(dtype))]


def walk(optimizer, params, steps, first=1, sign=1.0):
    for t in range(first, first + steps):
        for i, p in enumerate(params):
            p.grad = sign * gradient(i)(p.detach(), t)
        optimizer.step()


def scheduled(optimizer, params, steps):
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: math.prod(f for start, f in SCHEDULE.items() if done >= start)
    )
    for t in range(1, steps + 1):
        walk(optimizer, params, 1, t)
        schedule.step()


def assert_close(ours, others, tolerance):
    for i, (p, q) in enumerate(zip(ours, others, strict=True)):
        assert ((p - q).abs().max() <= tolerance * q.abs().max()).item(), i


@pytest.mark.parametrize("path", PATHS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("rule", ["additive", "multiplicative"])
@pytest.mark.parametrize("base", ["sgd", "adamw"])
def test_it_is_the_reference_also_with_a_schedule(base, rule, dtype, path):
    params = starts(dtype)
    options = {"lr": 0.002, "post_step": "ham", "rule": rule, **OPTIONS[base]}
    scheduled(BASES[base][0](params, **options, **path), params, 200)
    begun = [p.detach().double() for p in starts(dtype)]
    wanted = [reference(p, gradient(i), 200, base, rule, 0.002) for i, p in enumerate(begun)]
    assert_close(params, wanted, 1e-12 if dtype == torch.float64 else 1e-5)
    assert rule == "additive" or (params[0][0] == 0).all()


PAIRS = [
    *((base, rule, LOOP) for base in BASES for rule in RULES),
    *((base, rule, FOREACH) for base, rule in zip(BASES, cycle(RULES), strict=False)),
    *(
        pytest.param(base, rule, FUSED, marks=needs_compiler)
        for base, rule in zip(BASES, cycle(RULES[::-1]), strict=False)
    ),
]


@pytest.mark.parametrize(("base", "rule", "path"), PAIRS, ids=str)
def test_every_base_and_every_rule_has_it(base, rule, path):
    """Beside the step without it, for every option that makes a step longer."""
    options: dict[str, Any] = {"lr": LR[base], "rule": rule} | TABLE[base].rich | path
    plain, params = starts(torch.float64), starts(torch.float64)
    walk(BASES[base][0](plain, **options), plain, 1)
    own = {"post_step": "ham", "ham_alpha": 3.0, "ham_beta": 0.1}
    walk(BASES[base][0](params, **options, **own), params, 1)
    for p, q, raw in zip(plain, params, gradients(torch.float64), strict=True):
        g = -raw if options.get("maximize") else raw
        wanted = p * torch.exp(-LR[base] * (3 * torch.sign(p) * g + 0.1))
        torch.testing.assert_close(q, wanted, rtol=1e-12, atol=0)


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_to_maximize_is_to_minimize_the_negative(path):
    ends = []
    for maximize in (False, True):
        params = starts(torch.float64)
        own = {"post_step": "ham", "maximize": maximize, "rule": "hybrid"}
        walk(optim.Adam(params, lr=0.01, **own, **path), params, 20, sign=1 - 2 * maximize)
        ends.append(params)
    assert_close(ends[1], ends[0], 1e-13)


@pytest.mark.parametrize("path", PATHS, ids=str)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_short_floats_are_computed_in_float32(dtype, path):
    """Rounded after the step, and once more after HAM."""
    plain, params = starts(dtype), starts(dtype)
    walk(optim.SGD(plain, lr=0.05, **path), plain, 1)
    walk(optim.SGD(params, lr=0.05, post_step="ham", ham_alpha=3.0, **path), params, 1)
    for p, q, g in zip(plain, params, gradients(dtype), strict=True):
        wanted = p.double() * torch.exp(-0.05 * (3 * p.sign().double() * g.double() + 1e-3))
        torch.testing.assert_close(q.double(), wanted, rtol=0.51 * torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("lr", [torch.tensor(0.01), torch.tensor([0.01], dtype=torch.float64)])
@pytest.mark.parametrize("path", PATHS, ids=str)
def test_the_rate_may_be_a_tensor_and_so_may_alpha(path, lr):
    ends = []
    for rate, alpha in ((lr.item(), 20.0), (lr, torch.tensor(20.0))):
        params = starts(torch.float64)
        own: dict[str, Any] = {"post_step": "ham", "ham_alpha": alpha}
        walk(optim.AdamW(params, lr=rate, **own, **path), params, 10)
        ends.append(params)
    assert_close(ends[1], ends[0], 1e-6)  # 1 − η·λ is rounded to the dtype of η


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_resuming_is_exact_and_brings_its_settings(path, tmp_path):
    whole, part = starts(torch.float32), starts(torch.float32)
    own: dict[str, Any] = {"post_step": "ham", "ham_alpha": 20.0, "rule": "hybrid"}
    straight, first = (optim.AdamW(p, lr=0.01, **own, **path) for p in (whole, part))
    walk(straight, whole, 25)
    walk(first, part, 10)
    torch.save([part, first.state_dict()], tmp_path / "checkpoint.pt")
    values, state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    again = optim.AdamW(values, **path)
    again.load_state_dict(state)
    assert again.param_groups[0]["ham_alpha"] == 20.0
    walk(again, values, 15, first=11)
    assert all(torch.equal(p, q) for p, q in zip(whole, values, strict=True))
    plain = optim.AdamW(part, rule="hybrid", **path)
    walk(plain, part, 1)
    assert straight.state[whole[0]].keys() == plain.state[part[0]].keys()  # it keeps nothing


def test_gradients_flow_through_it():
    """Against differences of the whole computation, through θ, η and α, over three steps."""

    def end(theta, lr, alpha):
        p = theta.clone()
        own = {"differentiable": True, "post_step": "ham", "ham_alpha": alpha}
        optimizer = optim.Adam([p], lr=lr, rule="multiplicative", **own)
        for t in range(3):
            p.grad = torch.sin(p * 1.3 - t)
            optimizer.step()
        return p.square().sum()

    theta = torch.tensor([1.0, -2.0, 0.3], dtype=torch.float64, requires_grad=True)
    more = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.1, 2.0))
    assert torch.autograd.gradcheck(end, (theta, *more))


def test_compiled_or_capturable_it_is_the_same():
    ends = []
    for flags in ({}, {"capturable": True}, {"lr": torch.tensor(0.01, dtype=torch.float64)}):
        params = starts(torch.float64)
        own: dict[str, Any] = {"lr": 0.01, "post_step": "ham", "ham_alpha": 3.0} | flags
        optimizer = optim.AdamW(params, **own)
        compiled = "lr" in flags
        step = torch.compile(optimizer.step, backend="eager") if compiled else optimizer.step
        for t in range(1, 4):
            for i, p in enumerate(params):
                p.grad = gradient(i)(p.detach(), t)
            step()
        ends.append(params)
    assert_close(ends[1], ends[0], 1e-13)
    assert_close(ends[2], ends[0], 1e-13)


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_a_skipped_step_skips_it_and_a_missing_gradient_too(path):
    params = starts(torch.float32)
    optimizer: Any = optim.SGD(params, lr=0.1, post_step="ham", **path)
    before = copy.deepcopy(params)
    optimizer.found_inf = torch.tensor(1.0)
    walk(optimizer, params, 1)
    assert all(torch.equal(p, q) for p, q in zip(params, before, strict=True))
    del optimizer.found_inf
    params[1].grad = None
    optimizer.step()
    assert [torch.equal(p, q) for p, q in zip(params, before, strict=True)] == [False, True, False]


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_its_gradient_is_unscaled_first(path):
    """As a GradScaler asks of fused optimizers."""
    ends = []
    for scale in (1.0, 4.0):
        params = starts(torch.float64)
        optimizer: Any = optim.SGD(params, lr=0.01, post_step="ham", **path)
        optimizer.grad_scale = torch.tensor(scale, dtype=torch.float64)
        walk(optimizer, params, 1, sign=scale)
        ends.append(params)
    assert all(torch.equal(p, q) for p, q in zip(*ends, strict=True))
