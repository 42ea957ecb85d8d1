"""Fromage beside a reference of a dozen lines, on every path."""

import math

import pytest
import torch

from gofau.optim import Fromage
from gofau.optim.execution.native import compiler
from tests.optim.stepping import FOREACH, FUSED, LOOP

needs_compiler = pytest.mark.skipif(compiler.find() is None, reason="no C compiler")
PATHS = [LOOP, FOREACH, pytest.param(FUSED, marks=needs_compiler)]
SHAPES = [(70, 3), (5,), (2, 3, 2), (), (4,)]


def reference(theta, gradient, steps, lr=0.01):
    """arXiv 2002.03432 by its formula, one tensor, in double precision."""
    for t in range(steps):
        g = gradient(theta, t)
        ratio = theta.norm() / g.norm() if theta.norm() > 0 and g.norm() > 0 else 1
        theta = (theta - lr * ratio * g) / math.sqrt(1 + lr**2)
    return theta


def gradient(i):
    """Zero in the first ten steps, for the one tensor that is not zero itself."""
    return lambda theta, t: (t >= 10 or i != 1) * torch.tanh(theta - 2 * math.sin(0.3 * t + i))


def starts(dtype):
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(s, generator=generator, dtype=torch.float64) for s in SHAPES]
    drawn[4].zero_()
    return [x.to(dtype) for x in drawn]


@pytest.mark.parametrize("path", PATHS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("lr", [0.01, 0.1])
def test_it_is_the_reference(lr, dtype, path):
    params = [p.requires_grad_() for p in starts(dtype)]
    optimizer = Fromage(params, lr, **path)
    for t in range(200):
        for i, p in enumerate(params):
            p.grad = gradient(i)(p.detach(), t)
        optimizer.step()
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    for i, (p, start) in enumerate(zip(params, starts(dtype), strict=True)):
        wanted = reference(start.double(), gradient(i), 200, lr)
        assert ((p - wanted).abs().max() <= tolerance * wanted.abs().max()).item(), i


def test_a_step_across_the_weights_keeps_their_norm():
    p = torch.tensor([3.0, 0.0], requires_grad=True)
    p.grad = torch.tensor([0.0, -7.0])
    Fromage([p], lr=0.5).step()
    torch.testing.assert_close(p.norm().item(), 3.0)
    torch.testing.assert_close(p.detach(), torch.tensor([3.0, 1.5]) / math.sqrt(1.25))


def test_the_rate_may_be_a_tensor_and_is_the_groups():
    ends = []
    for lr in (0.1, torch.tensor(0.1, dtype=torch.float64)):
        params = [p.requires_grad_() for p in starts(torch.float64)[:2]]
        optimizer = Fromage([{"params": params[:1], "lr": lr}, {"params": params[1:]}], lr=0.02)
        for p in params:
            p.grad = torch.ones_like(p)
        optimizer.step()
        ends.append(params)
    for p, q in zip(*ends, strict=True):
        torch.testing.assert_close(p, q)
    (first, second), (a, b) = starts(torch.float64)[:2], ends[0]
    torch.testing.assert_close(
        a.detach(), reference(first, lambda x, t: torch.ones_like(x), 1, 0.1)
    )
    torch.testing.assert_close(
        b.detach(), reference(second, lambda x, t: torch.ones_like(x), 1, 0.02)
    )


def test_maximize_is_the_step_along_the_gradient():
    p, q = (torch.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    p.grad, q.grad = torch.tensor([1.0, -1.0]), torch.tensor([-1.0, 1.0])
    Fromage([p], maximize=True).step()
    Fromage([q]).step()
    assert torch.equal(p, q)
