"""Madam beside a reference of a dozen lines, on every path; what its clamp and zeros promise."""

import copy
import math

import pytest
import torch

from gofau.optim import Madam, RuleOptimizer, attach, observe
from gofau.optim.execution.native import compiler
from gofau.optim.projection import rms
from tests.optim.stepping import FOREACH, FUSED, LOOP

needs_compiler = pytest.mark.skipif(compiler.find() is None, reason="no C compiler")
PATHS = [LOOP, FOREACH, pytest.param(FUSED, marks=needs_compiler)]
SHAPES = [(70, 3), (5,), (2, 3, 2), (400,)]


def reference(theta, gradient, steps, *, lr=0.01, p_scale=3.0, g_bound=10.0, beta=0.999):
    """Algorithm 1 of arXiv 2006.14560 by its formulas, in double precision; and how often ĝ was
    clipped and θ clamped."""
    v, limit, clipped, clamped = (
        torch.zeros_like(theta),
        p_scale * theta.square().mean().sqrt(),
        0,
        0,
    )
    for t in range(1, steps + 1):
        g = gradient(theta, t)
        v = beta * v + (1 - beta) * g**2
        size = (v / (1 - beta**t)).sqrt()
        g = torch.where(size == 0, 0, g / torch.where(size == 0, 1, size))
        clipped += (g.abs() > g_bound).sum().item()
        theta = theta * torch.exp(-lr * theta.sign() * g.clamp(-g_bound, g_bound))
        clamped += (theta.abs() > limit).sum().item()
        theta = theta.clamp(-limit, limit)
    return theta, clipped, clamped


def gradient(i):
    """Noisy, at times zero for many steps; large now and then, so that ĝ is clipped."""

    def at(theta, t):
        size = 40.0 if t % 60 == 59 else 1.0
        g = size * torch.tanh(theta - 2 * math.sin(0.3 * t + i))
        mask = torch.arange(theta.numel()).view(theta.shape) % 3
        return torch.where(mask == 0, g if t > 20 else 0 * g, g)

    return at


def starts(dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(s, generator=generator, dtype=torch.float64).to(dtype) for s in SHAPES]


def walk(optimizer, params, steps, first=1):
    for t in range(first, first + steps):
        for i, p in enumerate(params):
            p.grad = gradient(i)(p.detach(), t)
        optimizer.step()


OPTIONS = [{}, {"lr": 0.05, "p_scale": 0.8, "g_bound": 2.0, "beta": 0.9}]


@pytest.mark.parametrize("path", PATHS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_it_is_the_reference(options, dtype, path):
    params = [p.requires_grad_() for p in starts(dtype)]
    walk(Madam(params, **options, **path), params, 200)
    tolerance = 1e-12 if dtype == torch.float64 else 2e-6
    for i, (p, start) in enumerate(zip(params, starts(), strict=True)):
        start = start.to(dtype).double()
        wanted, clipped, clamped = reference(start, gradient(i), 200, **options)
        assert ((p - wanted).abs().max() <= tolerance * wanted.abs().max()).item()
        assert not options or (clipped > 3 and clamped > 3)


def test_compiled_it_is_the_same():
    ends = []
    for compiled in (False, True):
        params = [p.requires_grad_() for p in starts(torch.float64)]
        optimizer = Madam(params, lr=0.05, p_scale=1.0)
        step = torch.compile(optimizer.step, backend="eager") if compiled else optimizer.step
        for t in range(1, 12):
            for i, p in enumerate(params):
                p.grad = gradient(i)(p.detach(), t)
            step()
        ends.append(params)
    for p, q in zip(*ends, strict=True):
        torch.testing.assert_close(q, p, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("path", PATHS, ids=str)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_no_weight_passes_its_bound_or_changes_its_sign(dtype, path):
    params = [p.requires_grad_() for p in starts(dtype)]
    signs, limits = [p.sign() for p in params], [1.2 * rms(p) for p in params]
    optimizer = Madam(params, lr=0.3, p_scale=1.2, **path)
    for t in range(30):
        for p in params:
            p.grad = -p.sign() if t < 20 else p.sign()
        optimizer.step()
        for p, sign, limit in zip(params, signs, limits, strict=True):
            assert torch.equal(p.sign(), sign)
            assert p.abs().max().item() == pytest.approx(limit, rel=1e-2) or t not in (15, 19)
            assert p.abs().max().item() <= limit * (1 + torch.finfo(dtype).eps)


@pytest.mark.parametrize("path", PATHS, ids=str)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_resuming_is_exact_and_keeps_the_bound(dtype, path, tmp_path):
    whole, part = ([p.requires_grad_() for p in starts(dtype)] for _ in range(2))
    straight, first = Madam(whole, 0.1, 1.0, **path), Madam(part, 0.1, 1.0, **path)
    walk(straight, whole, 25)
    walk(first, part, 10)
    torch.save([part, first.state_dict()], tmp_path / "checkpoint.pt")
    values, state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    again = Madam(values, lr=7.0, p_scale=99.0, **path)
    again.load_state_dict(state)
    walk(again, values, 15, first=11)
    assert all(torch.equal(p, q) for p, q in zip(whole, values, strict=True))
    bounds = [straight.state[p]["theta_rms"] for p in whole]
    assert bounds == [again.state[p]["theta_rms"] for p in values]
    assert bounds == [rms(p) for p in starts(dtype)]


@pytest.mark.parametrize("path", PATHS, ids=str)
@pytest.mark.parametrize("zero_init", ["additive", "freeze"])
def test_what_is_zero_at_the_start_is_stepped_without_a_bound_or_left(zero_init, path):
    zero, some = torch.zeros(3, requires_grad=True), torch.tensor([0.0, 2.0], requires_grad=True)
    optimizer = Madam([zero, some], lr=0.5, zero_init=zero_init, **path)
    for _ in range(3):
        zero.grad, some.grad = torch.tensor([1.0, -1.0, 0.0]), torch.tensor([1.0, 1.0])
        optimizer.step()
    moved = torch.tensor([-1.5, 1.5, 0.0]) if zero_init == "additive" else torch.zeros(3)
    torch.testing.assert_close(zero.detach(), moved)
    assert some[0] == 0
    torch.testing.assert_close(some[1].item(), 2 * math.exp(-1.5))
    assert optimizer.rule_counts()["exponential"]["tensors"] == (1 if moved.any() else 2)


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_gradients_of_zero_and_next_to_zero_do_no_harm(path):
    p = torch.ones(4, requires_grad=True)
    optimizer = Madam([p], lr=0.1, **path)
    p.grad = torch.tensor([0.0, 1e-30, 1e30, -1.0])  # squares: 0, 0, inf, 1
    optimizer.step()
    torch.testing.assert_close(p.detach(), torch.tensor([1, 1, 1, math.exp(0.1)]))


def test_the_bounds_are_hyperparameters_of_the_group():
    params = [p.requires_grad_() for p in starts()]
    groups = [{"params": params[:2], "p_scale": 1.0, "lr": 0.5}, {"params": params[2:]}]
    optimizer = Madam(groups, g_bound=1.0)
    for _ in range(20):
        for p in params:
            p.grad = -p.detach()
        optimizer.step()
    for p, start, scale in zip(params, starts(), (1.0, 1.0, 3.0, 3.0), strict=True):
        assert (p.abs() <= scale * rms(start) * (1 + 1e-12)).all()
    assert params[0].abs().max().item() == pytest.approx(rms(starts()[0]))
    optimizer.param_groups[0]["p_scale"] = torch.tensor(0.5)  # as a schedule would
    optimizer.step()
    assert params[0].abs().max().item() == pytest.approx(0.5 * rms(starts()[0]))


def test_a_group_may_have_another_rule_and_keeps_the_clamp():
    a, b = starts()[:2]
    a.requires_grad_()
    b.requires_grad_()
    optimizer = Madam([{"params": [a]}, {"params": [b], "rule": "additive"}], lr=10.0)
    a.grad, b.grad = a.detach().clone(), b.detach().clone()
    optimizer.step()
    assert torch.equal(b.abs(), torch.full_like(b, 3 * rms(starts()[1])))
    assert torch.equal(b.sign(), -starts()[1].sign())
    assert torch.equal(a.sign(), starts()[0].sign())


def test_the_sign_of_the_step_is_turned_by_maximize_and_the_step_can_be_observed():
    ends = []
    for maximize in (False, True):
        (p,) = [x.requires_grad_() for x in starts()[:1]]
        optimizer = Madam([p], maximize=maximize, p_scale=10.0)
        p.grad = (1 - 2 * maximize) * gradient(0)(p.detach(), 30)
        with observe(optimizer) as step:
            optimizer.step()
        assert step.result()["sign_flips/all"] == 0
        assert 0.001 < step.result()["update_ratio/all"] <= 0.0101
        ends.append(p)
    assert torch.equal(*ends)


def test_differentiable_goes_through_the_clamp():
    start = starts()[1].requires_grad_()
    p = start.clone()
    optimizer = Madam([p], lr=0.5, p_scale=1.0, differentiable=True)
    p.grad = -p.detach().clone()
    optimizer.step()
    (g,) = torch.autograd.grad(p.sum(), start)
    inside = p.detach().abs() < 0.999 * rms(start)
    assert torch.equal(g != 0, inside)
    assert inside.any()
    assert not inside.all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"p_scale": 0}, "p_scale must be > 0 and finite, got 0"),
        ({"g_bound": math.inf}, "g_bound must be > 0 and finite, got inf"),
        ({"beta": 1.0}, r"beta must be in \[0, 1\), got 1"),
        ({"lr": -1}, "lr must be ≥ 0, got -1"),
        ({"zero_init": "freez"}, "Did you mean 'freeze'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(given, message):
    with pytest.raises(ValueError, match=message):
        Madam([torch.ones(2, requires_grad=True)], **given)


def test_its_rule_is_its_own():
    p = torch.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'rule'"):
        Madam([p], rule="hybrid")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="Madam has a rule of its own, 'exponential'"):
        attach(Madam([p]))
    optimizer: RuleOptimizer = copy.deepcopy(Madam([p]))
    assert optimizer.own_rule


def test_a_tensor_without_values_has_no_bound():
    p = torch.ones(3, device="meta", requires_grad=True)
    p.grad = torch.ones(3, device="meta")
    optimizer = Madam([p])
    optimizer.step()
    assert optimizer.state[p]["theta_rms"] == 0
