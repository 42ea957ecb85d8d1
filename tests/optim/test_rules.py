"""Invariants 1 to 4 of the update rules, as properties of arbitrary numbers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gofau.optim import RULES, get_rule, register_rule
from gofau.optim.rules import additive, exponential, hybrid, multiplicative

DTYPES = [torch.float32, torch.float64]
etas = st.floats(1e-3, 1e3)
alphas = st.floats(0, 1)


def tensors(dtype, low=-1e3, high=1e3, **more):
    """Any numbers: zeros of both signs, subnormals and (unless bounded) large ones."""
    width = 32 if dtype == torch.float32 else 64
    kind = np.float32 if width == 32 else np.float64
    low, high = float(kind(low)), float(kind(high))
    elements = st.floats(low, high, width=width, **more)
    return hnp.arrays(kind, 16, elements=elements).map(lambda a: torch.from_numpy(a.copy()))


def bits(x):
    return x.view(torch.int32 if x.dtype == torch.float32 else torch.int64)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data(), eta_in=etas, eta_out=etas)
def test_alpha_0_is_additive_and_alpha_1_is_multiplicative_bit_for_bit(
    dtype, data, eta_in, eta_out
):
    theta, u = data.draw(tensors(dtype)), data.draw(tensors(dtype))
    pure = multiplicative(theta, u, eta_in=eta_in, eta_out=eta_out)
    for kind in (float, lambda a: torch.tensor(float(a), dtype=dtype)):
        zero = hybrid(theta, u, eta_in=eta_in, eta_out=eta_out, alpha=kind(0))
        one = hybrid(theta, u, eta_in=eta_in, eta_out=eta_out, alpha=kind(1))
        assert torch.equal(bits(zero), bits(additive(theta, u)))
        assert torch.equal(bits(one), bits(pure))


def test_alpha_ends_survive_an_overflow():
    theta, u = torch.tensor([1.0]), torch.tensor([math.inf])
    ends = [hybrid(theta, u, eta_in=10.0, eta_out=0.1, alpha=a) for a in (0, 1, torch.tensor(1.0))]
    assert [e.item() for e in ends] == pytest.approx([math.inf, 0.1, 0.1])


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data(), eta_in=etas, eta_out=st.floats(1e-3, 0.999))
def test_multiplicative_is_bounded_and_keeps_signs_and_zeros(dtype, data, eta_in, eta_out):
    theta, u = data.draw(tensors(dtype)), data.draw(tensors(dtype))
    xi = multiplicative(theta, u, eta_in=eta_in, eta_out=eta_out)
    eps, tiny = torch.finfo(dtype).eps, torch.finfo(dtype).smallest_normal
    assert (xi.abs() <= theta.abs() * eta_out * (1 + 4 * eps) + tiny * eps).all()
    after = theta - xi
    assert (torch.sign(after) * torch.sign(theta) >= 0).all()
    assert (after[theta == 0] == 0).all()
    assert (exponential(theta, u)[theta == 0] == 0).all()


@given(
    theta=tensors(torch.float64, allow_subnormal=False),
    x=tensors(torch.float64, -1, 1, allow_subnormal=False),
    eta_in=etas,
    eta_out=etas,
)
def test_multiplicative_is_linear_for_small_steps(theta, x, eta_in, eta_out):
    """ξ = η_in·η_out·|θ|·u with relative error ≤ (η_in·u)²/3 + rounding."""
    u = x / eta_in
    linear = eta_in * eta_out * theta.abs() * u
    xi = multiplicative(theta, u, eta_in=eta_in, eta_out=eta_out)
    bound = linear.abs() * ((eta_in * u) ** 2 / 3 + 1e-15) + 1e-300
    assert ((xi - linear).abs() <= bound).all()


@given(
    theta=tensors(torch.float64, 1e-3, 1e3),
    u=tensors(torch.float64, -2, 2),
    signs=hnp.arrays(np.bool_, 16),
    scale=st.floats(1e-6, 1e6),
)
def test_relative_change_does_not_depend_on_the_scale(theta, u, signs, scale):
    theta = torch.where(torch.from_numpy(signs), theta, -theta)
    for rule in (
        exponential,
        lambda t, u: multiplicative(t, u, eta_in=10.0, eta_out=0.1),
    ):
        change = rule(theta, u) / theta.abs()
        scaled = rule(theta * scale, u) / (theta * scale).abs()
        torch.testing.assert_close(scaled, change, rtol=1e-13, atol=1e-300)


@given(theta=tensors(torch.float64, -1e3, 1e3), u=tensors(torch.float64, -5, 5))
def test_exponential_is_the_exponential(theta, u):
    expected = [
        t * math.exp(-d * ((t > 0) - (t < 0)))
        for t, d in zip(theta.tolist(), u.tolist(), strict=True)
    ]
    got = theta - exponential(theta, u)
    torch.testing.assert_close(
        got, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-9
    )


@given(theta=tensors(torch.float64), u=tensors(torch.float64), alpha=alphas, eta_in=etas)
def test_hybrid_is_the_convex_blend_elementwise(theta, u, alpha, eta_in):
    expected = [
        (1 - alpha) * d + alpha * abs(t) * math.tanh(eta_in * d) * 0.1
        for t, d in zip(theta.tolist(), u.tolist(), strict=True)
    ]
    got = hybrid(theta, u, eta_in=eta_in, eta_out=0.1, alpha=alpha)
    torch.testing.assert_close(
        got, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12
    )


def test_an_unknown_rule_names_the_nearest():
    with pytest.raises(ValueError, match=r"got 'hybird'\. Did you mean 'hybrid'\?"):
        get_rule("hybird")


def test_a_registered_rule_is_found_and_another_function_of_its_name_is_refused(monkeypatch):
    monkeypatch.setattr("gofau.optim.rules.RULES", dict(RULES))

    @register_rule("sign")
    def sign(theta, u, *, eta_out=0.5):
        return eta_out * torch.sign(u)

    rule = get_rule("sign")
    assert rule.hyperparameters == {"eta_out": 0.5}
    assert rule(torch.ones(1), torch.tensor([-3.0]), {"eta_out": 2.0}).item() == -2
    with pytest.raises(ValueError, match="already registered"):
        register_rule("sign")(lambda theta, u: u)
