"""Nero beside a reference of a dozen lines, on every path; its step size and its projection."""

import math
from functools import cache

import pytest
import torch

from gofau.optim import Adam, Nero
from gofau.optim.execution.native import compiler
from tests.optim.stepping import FOREACH, FUSED, LOOP

needs_compiler = pytest.mark.skipif(compiler.find() is None, reason="no C compiler")
PATHS = [LOOP, FOREACH, pytest.param(FUSED, marks=needs_compiler)]
SHAPES = [(70, 3), (5,), (2, 3, 2), (), (4, 1), (4,)]


def balanced(w):
    w = w - w.mean()
    return w / w.norm()


def reference(theta, gradient, steps, lr=0.01, beta=0.999):
    """Algorithm 1 of arXiv 2102.07227, row by row, in double precision."""
    if theta.dim() < 2 or theta[0].numel() == 1:  # σ in place of the norm, and no constraint
        rows, scale = theta.reshape(-1, 1), theta.square().mean().sqrt().item() or 0.01
    else:
        rows, scale = torch.stack([balanced(w) for w in theta.flatten(1)]), 0.0
    v = torch.zeros(len(rows), dtype=theta.dtype)
    for t in range(1, steps + 1):
        g = gradient(rows.view_as(theta), t).reshape(rows.shape)
        v = beta * v + (1 - beta) * g.norm(dim=1) ** 2
        new = []
        for w, gw, vw in zip(rows, g, (v / (1 - beta**t)).sqrt(), strict=True):
            w = w - lr * (scale or w.norm()) * gw / vw if vw > 0 else w
            new.append(w if scale else balanced(w))
        rows = torch.stack(new)
    return rows.view_as(theta)


def gradient(i):
    """Zero in the first steps for some."""
    return lambda theta, t: (t > 7 or i % 2) * torch.tanh(theta - 2 * math.sin(0.3 * t + i))


def starts(dtype):
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(s, generator=generator, dtype=torch.float64) for s in SHAPES]
    drawn[5].zero_()
    return [x.to(dtype) for x in drawn]


def walk(optimizer, params, steps, first=1):
    for t in range(first, first + steps):
        for i, p in enumerate(params):
            p.grad = gradient(i)(p.detach(), t)
        optimizer.step()


@cache
def references(dtype, **options):
    """The ends of the reference, the same for every path."""
    given = {key.removeprefix("neuron_"): x for key, x in options.items()}
    walks = enumerate(starts(dtype))
    return [reference(start.double(), gradient(i), 200, **given) for i, start in walks]


@pytest.mark.parametrize("path", PATHS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("options", [{}, {"lr": 0.05, "neuron_beta": 0.9}], ids=str)
def test_it_is_the_reference(options, dtype, path):
    params = [p.requires_grad_() for p in starts(dtype)]
    walk(Nero(params, **options, **path), params, 200)
    tolerance = 1e-12 if dtype == torch.float64 else 2e-5
    for i, (p, wanted) in enumerate(zip(params, references(dtype, **options), strict=True)):
        assert ((p - wanted).abs().max() <= tolerance * wanted.abs().max()).item(), i


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_neurons_are_balanced_from_the_start_and_stay_so(dtype):
    params = [p.requires_grad_() for p in starts(dtype)]
    optimizer = Nero(params, lr=0.1)
    eps = torch.finfo(dtype).eps
    for steps in (0, 3):
        walk(optimizer, params, steps)
        for i in (0, 2):
            rows = params[i].detach().double().flatten(1)
            assert (rows.mean(dim=1).abs() <= eps).all()
            torch.testing.assert_close(
                rows.norm(dim=1), torch.ones(len(rows), dtype=torch.float64), rtol=2 * eps, atol=0
            )
        if not steps:
            assert all(torch.equal(params[i], starts(dtype)[i]) for i in (1, 3, 4, 5))


def test_a_row_that_is_all_the_same_does_no_harm():
    p = torch.ones(2, 3, requires_grad=True)
    optimizer = Nero([p], lr=0.1)
    assert not p.any()
    p.grad = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    optimizer.step()
    wanted = torch.stack([balanced(torch.tensor([-1.0, 0.0, 0.0])), torch.zeros(3)])
    torch.testing.assert_close(p.detach(), wanted)


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_resuming_is_exact(path, tmp_path):
    whole, part = ([p.requires_grad_() for p in starts(torch.float32)] for _ in range(2))
    straight, first = Nero(whole, **path), Nero(part, **path)
    walk(straight, whole, 25)
    walk(first, part, 10)
    torch.save([part, first.state_dict()], tmp_path / "checkpoint.pt")
    values, state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    params = [p.requires_grad_() for p in starts(torch.float32)]
    again = Nero(params, lr=7.0, **path)
    with torch.no_grad():
        for p, value in zip(params, values, strict=True):
            p.copy_(value)
    again.load_state_dict(state)
    walk(again, params, 15, first=11)
    assert all(torch.equal(p, q) for p, q in zip(whole, params, strict=True))


def test_its_step_size_goes_with_other_bases_and_rules():
    """A step's size relative to the neuron: η·‖d_k‖/√v̂_k = η in the first step of a neuron."""
    p = starts(torch.float64)[0].requires_grad_()
    before = p.detach().clone()
    p.grad = torch.randn(70, 3, generator=torch.Generator().manual_seed(1)).double()
    Adam([p], lr=0.1, stepsize="neuron").step()
    moved = (p.detach() - before).norm(dim=1) / before.norm(dim=1)
    torch.testing.assert_close(moved, torch.full_like(moved, 0.1))


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"neuron_beta must be in \[0, 1\), got 1"):
        Nero([torch.ones(2, requires_grad=True)], neuron_beta=1.0)
