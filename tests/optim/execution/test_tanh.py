"""The fast tanh (and expm1) of the compiled steps, against double precision."""

import math

import pytest
import torch

from gofau.optim.execution.native import compiler
from gofau.optim.execution.tanh import LIMIT, tanh
from tests.optim.execution.kernels import every_exponent, float32_bits, through_kernel

needs_compiler = pytest.mark.skipif(compiler.find() is None, reason="no C compiler")
BOUND = 1e-6
SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 1e-45, -1e-45, 1.1754944e-38, 3.4028235e38]


def samples():
    """Every 1009th float32, every exponent, and every float near the branch points of tanh and
    expm1: its limit, where it reaches 1, and where range reduction changes step."""
    near = [LIMIT, 9.02, 9.0, 8.9, 1.0, math.log(2) / 2, 1.5 * math.log(2), 18.0, 88.72, 89.0]
    centres = torch.tensor(near).view(torch.int32).tolist()
    ranges = [range(0, 2**32, 1009), *(range(c - 3000, c + 3000) for c in centres)]
    ranges += [range(2**31 + r.start, 2**31 + r.stop) for r in ranges[1:]]
    random = every_exponent(64, torch.Generator().manual_seed(0))
    return torch.cat([float32_bits(*ranges), random, torch.tensor(SPECIAL)])


def worst_relative_error(got, exact):
    """Over the finite results that are not zero; zeros (and their signs), infinities and NaN must
    be those of the exact function rounded to float32. No error is asked below what a subnormal
    can express: half of its last place."""
    rounded = exact.float()
    assert torch.equal(got.isnan(), rounded.isnan())
    plain = rounded.isfinite() & (rounded != 0)
    same = ~plain & ~rounded.isnan()
    assert torch.equal(got[same].view(torch.int32), rounded[same].view(torch.int32))
    error = (got[plain].double() - exact[plain]).abs()
    half_place = 2.0**-150
    return ((error - half_place).clamp(min=0) / exact[plain].abs()).max().item()


def test_tanh_of_every_kind_of_float():
    x = samples()
    got = tanh(x)
    assert worst_relative_error(got, torch.tanh(x.double())) < BOUND
    assert got[~got.isnan()].abs().max() == 1
    assert torch.equal(tanh(-x)[~x.isnan()], -got[~x.isnan()])


@needs_compiler
def test_tanh_in_a_compiled_step(monkeypatch):
    x = samples()
    got = through_kernel(monkeypatch, torch.tanh, x)
    # θ − ξ = 0 − (−0) is +0: the sign of a zero cannot come out of a step
    assert worst_relative_error(got + 0.0, torch.tanh(x.double()) + 0.0) < BOUND


@needs_compiler
def test_expm1_in_a_compiled_step(monkeypatch):
    x = samples()
    x = x[~(x.abs() > 88.72) | x.isinf()]  # between there and infinity it overflows, or nearly
    got = through_kernel(monkeypatch, torch.expm1, x)
    assert worst_relative_error(got + 0.0, torch.expm1(x.double()) + 0.0) < BOUND


@needs_compiler
def test_expm1_overflows_and_ends_where_it_should(monkeypatch):
    x = torch.tensor([88.7, 88.8, 100.0, 3e38, -20.0, -1e3, -3e38])
    got = through_kernel(monkeypatch, torch.expm1, x)
    torch.testing.assert_close(got, torch.expm1(x), rtol=1e-6, atol=0)


def test_tanh_is_one_from_its_limit_on(monkeypatch):
    x = torch.cat([torch.linspace(LIMIT, 20, 1001), torch.tensor([1e30, math.inf])])
    assert (tanh(x) == 1).all()
    if compiler.find() is not None:
        assert (through_kernel(monkeypatch, torch.tanh, -x) == -1).all()
