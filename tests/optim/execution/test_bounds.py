"""What the compiled step knows of the size of its values, and the shorter exponential then."""

import math

import pytest
import torch

import gofau.optim as optim
from gofau.optim.execution.native import compiler
from gofau.optim.execution.native.bounds import bounds_of
from gofau.optim.execution.program import Operation, Program, Value
from tests.optim.execution.kernels import every_exponent, through_kernel

needs_compiler = pytest.mark.skipif(compiler.find() is None, reason="no C compiler")
G, LR = Value(0), Value(1)


def bound_after(*steps, scalar=False):
    """The bound of the last of some operations; each takes the result of the one before, and the
    first the gradient: (name, more arguments …)."""
    program = Program(tensors={"g": G}, scalars={"lr": LR}, kinds={G: (False, False)})
    program.kinds[LR] = (True, False)
    last = G
    for number, (name, *more) in enumerate(steps, start=2):
        out = Value(number)
        program.operations.append(Operation(name, None, (last, *more), {}, (), out))
        program.kinds[out] = (scalar, False)
        last = out
    return bounds_of(program).get(last)


def test_of_a_clipped_value_times_a_rate():
    clipped = ("clamp.default", -1.0, 0.5)
    assert bound_after(clipped) == "1.0"
    assert bound_after(clipped, ("mul.Tensor", LR)) == "(1.0 * fabs(v1))"
    assert bound_after(clipped, ("neg.default",), ("mul.Tensor", -3)) == "(1.0 * 3.0)"
    assert bound_after(("sign.default",), ("mul.Tensor", LR)) == "(1.0 * fabs(v1))"


@pytest.mark.parametrize(
    "steps",
    [
        [("mul.Tensor", LR)],  # the gradient itself has none
        [("clamp.default", -1.0)],  # one end is open
        [("clamp.default", -1.0, None)],
        [("clamp.default", -math.inf, 1.0)],
        [("clamp.default", LR, 1.0)],  # an end may change
        [("clamp.default", -1.0, 1.0), ("div.Tensor", LR)],
        [("clamp.default", -1.0, 1.0), ("exp.default",)],
    ],
)
def test_without_one(steps):
    assert bound_after(*steps) is None


def test_of_what_is_computed_outside_the_loop():
    assert bound_after(("sqrt.default",), scalar=True) == "fabs(v2)"


@needs_compiler
@pytest.mark.parametrize("eta", [0.3, 0.3399, 0.35, 2.0, 40.0])
def test_the_shorter_exponential_gives_the_same_bits(monkeypatch, eta):
    """Without the clip nothing is known, and the general one is used."""
    x = every_exponent(64, torch.Generator().manual_seed(0))
    x = torch.cat([x[(x.abs() <= 1) | x.isnan()], torch.linspace(-1, 1, 20001)])
    clipped = through_kernel(monkeypatch, lambda d: torch.expm1(eta * d.clamp(-1, 1)), x)
    plain = through_kernel(monkeypatch, lambda d: torch.expm1(eta * d), x)
    assert clipped.isfinite().any()
    assert torch.equal(clipped.nan_to_num(7) + 0.0, plain.nan_to_num(7) + 0.0)


@needs_compiler
@pytest.mark.parametrize("lr", [0.01, 0.0339, 0.035, 1.0])
def test_madam_on_both_sides_of_it_is_the_loop(lr):
    """g_bound is 10, so that the exponent is at most 10·lr."""
    steps = torch.Generator().manual_seed(0)
    start = torch.randn(4099, generator=steps)
    paths = [torch.nn.Parameter(start.clone()) for _ in range(2)]
    fused, loop = (
        optim.Madam([p], lr=lr, fused=flag, foreach=False)
        for p, flag in zip(paths, (True, False), strict=True)
    )
    for _ in range(20):
        gradient = torch.randn(4099, generator=steps) * 10 ** torch.randn(4099, generator=steps)
        for p, optimizer in zip(paths, (fused, loop), strict=True):
            p.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(paths[0], paths[1], rtol=1e-5, atol=0)
