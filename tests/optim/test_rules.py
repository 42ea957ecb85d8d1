"""Invariants 1 to 4 of the update rules, as properties of arbitrary numbers."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gofau.optim import SGD, Hyperparameter, get_rule, register_rule
from gofau.optim.checks import Interval
from gofau.optim.rules import (
    additive,
    exponential,
    hybrid,
    hypentropy,
    multiplicative,
    power,
)

DTYPES = [torch.float32, torch.float64]
etas = st.floats(1e-3, 1e3)
gammas = st.floats(0, 1)


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
@given(data=st.data(), eta=etas, eta_in=etas, eta_out=etas)
def test_gamma_0_is_additive_and_gamma_1_is_multiplicative_bit_for_bit(
    dtype, data, eta, eta_in, eta_out
):
    theta, d = data.draw(tensors(dtype)), data.draw(tensors(dtype))
    own = {"eta_in": eta_in, "eta_out": eta_out}
    pure = multiplicative(theta, d, eta, **own)
    for kind in (float, lambda a: torch.tensor(float(a), dtype=dtype)):
        zero = hybrid(theta, d, eta, **own, gamma=kind(0))
        one = hybrid(theta, d, eta, **own, gamma=kind(1))
        assert torch.equal(bits(zero), bits(additive(theta, d, eta)))
        assert torch.equal(bits(one), bits(pure))


def test_gammas_ends_survive_an_overflow():
    theta, d = torch.tensor([1.0]), torch.tensor([math.inf])
    own = {"eta_in": 1.0, "eta_out": 0.1}
    ends = [hybrid(theta, d, 0.1, **own, gamma=g) for g in (0, 1, torch.tensor(1.0))]
    assert [e.item() for e in ends] == pytest.approx([math.inf, 0.1, 0.1])


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data(), eta=etas, eta_in=etas, eta_out=st.floats(1e-3, 0.999))
def test_multiplicative_is_bounded_and_keeps_signs_and_zeros(dtype, data, eta, eta_in, eta_out):
    theta, d = data.draw(tensors(dtype)), data.draw(tensors(dtype))
    xi = multiplicative(theta, d, eta, eta_in=eta_in, eta_out=eta_out)
    eps, tiny = torch.finfo(dtype).eps, torch.finfo(dtype).smallest_normal
    assert (xi.abs() <= theta.abs() * eta_out * (1 + 4 * eps) + tiny * eps).all()
    after = theta - xi
    assert (torch.sign(after) * torch.sign(theta) >= 0).all()
    for rule in (
        multiplicative(theta, d, 77.0, eta_in=eta_in, eta_out=eta_out),
        exponential(theta, d, eta),
        power(theta, d, eta, eta_in=eta_in, eta_out=eta_out),
    ):
        assert ((theta - rule)[theta == 0] == 0).all()
    assert torch.equal(multiplicative(theta, d, 77.0, eta_in=eta_in, eta_out=eta_out), xi)


@given(
    theta=tensors(torch.float64, allow_subnormal=False),
    x=tensors(torch.float64, -1, 1, allow_subnormal=False),
    eta_in=etas,
    eta_out=etas,
)
def test_multiplicative_is_linear_for_small_steps(theta, x, eta_in, eta_out):
    """ξ = η_out·η_in·|θ|·d with relative error ≤ (η_in·d)²/3 + rounding."""
    d = x / eta_in
    linear = eta_in * eta_out * theta.abs() * d
    xi = multiplicative(theta, d, 1.0, eta_in=eta_in, eta_out=eta_out)
    bound = linear.abs() * ((eta_in * d) ** 2 / 3 + 1e-15) + 1e-300
    assert ((xi - linear).abs() <= bound).all()


@given(
    theta=tensors(torch.float64, 1e-3, 1e3),
    d=tensors(torch.float64, -2, 2),
    signs=hnp.arrays(np.bool_, 16),
    scale=st.floats(1e-6, 1e6),
)
def test_relative_change_does_not_depend_on_the_scale(theta, d, signs, scale):
    theta = torch.where(torch.from_numpy(signs), theta, -theta)
    for rule in (
        lambda t, u: exponential(t, u, 0.7),
        lambda t, u: multiplicative(t, u, 1.0, eta_in=10.0, eta_out=0.1),
        lambda t, u: power(t, u, 1.0, eta_in=3.0, eta_out=0.4),
    ):
        change = rule(theta, d) / theta.abs()
        scaled = rule(theta * scale, d) / (theta * scale).abs()
        torch.testing.assert_close(scaled, change, rtol=1e-13, atol=1e-300)


def sign(x):
    return (x > 0) - (x < 0)


@given(theta=tensors(torch.float64), d=tensors(torch.float64, -5, 5), eta=st.floats(1e-3, 2))
def test_exponential_is_the_exponential(theta, d, eta):
    pairs = zip(theta.tolist(), d.tolist(), strict=True)
    expected = [t * math.exp(-eta * x * sign(t)) for t, x in pairs]
    got = theta - exponential(theta, d, eta)
    torch.testing.assert_close(
        got, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-9
    )


@given(theta=tensors(torch.float64), d=tensors(torch.float64), eta_in=etas, eta_out=st.floats(0, 5))
def test_power_is_the_bounded_power_of_two(theta, d, eta_in, eta_out):
    pairs = zip(theta.tolist(), d.tolist(), strict=True)
    expected = [t * 2 ** (-eta_out * math.tanh(eta_in * x) * sign(t)) for t, x in pairs]
    got = theta - power(theta, d, 1.0, eta_in=eta_in, eta_out=eta_out)
    torch.testing.assert_close(
        got, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-9
    )


@given(
    theta=tensors(torch.float64),
    d=tensors(torch.float64, -5, 5),
    eta=st.floats(1e-3, 2),
    beta=st.floats(1e-6, 1e6),
)
def test_hypentropy_is_the_step_in_arcsinh(theta, d, eta, beta):
    got = hypentropy(theta, d, eta, hyp_beta=beta)
    pairs = zip(theta.tolist(), d.tolist(), strict=True)
    plain = [t - beta * math.sinh(math.asinh(t / beta) - eta * x) for t, x in pairs]
    scale = theta.abs() + beta + torch.tensor(plain, dtype=torch.float64).abs()
    error = (got - torch.tensor(plain, dtype=torch.float64)).abs()
    assert (error <= 1e-12 * scale).all()  # what arcsinh's rounding leaves of it


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("beta", [1e-12, 1e12])
def test_hypentropy_is_exponential_far_above_beta_and_additive_far_below(dtype, beta):
    theta = torch.tensor([1e-3, -0.5, 7.0, 1e30], dtype=dtype)
    d = torch.tensor([1e-5, 1.0, -3.0, 2.0], dtype=dtype)
    tolerance = 4 * torch.finfo(dtype).eps
    xi = hypentropy(theta, d, 0.5, hyp_beta=beta)
    if beta < 1:
        torch.testing.assert_close(xi, exponential(theta, d, 0.5), rtol=tolerance, atol=0)
    else:  # with rate β·η, up to the next term of the sine
        few = hypentropy(theta[:3], 1e-4 * d[:3], 0.5, hyp_beta=beta)
        torch.testing.assert_close(few, beta * 0.5e-4 * d[:3], rtol=1e-8 + tolerance, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_hypentropy_keeps_the_relative_accuracy_of_small_steps(dtype):
    theta, d = torch.tensor([100.0], dtype=dtype), torch.tensor([1e-10], dtype=dtype)
    wanted = math.hypot(100, 0.1) * 1e-10
    got = hypentropy(theta, d, 1.0, hyp_beta=0.1).item()
    assert got == pytest.approx(wanted, rel=4 * torch.finfo(dtype).eps)


PATHS = [{"foreach": False}, {"foreach": True}, {"fused": True}]


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_hypentropy_is_eg_with_two_halves(path):
    """EG±, line by line: θ⁺ and θ⁻ are kept, and each is multiplied by exp(∓η·g)."""
    torch.manual_seed(0)
    theta, beta, eta = torch.randn(300, dtype=torch.float64), 0.3, 0.05
    p = theta.clone().requires_grad_()
    optimizer = SGD([p], lr=eta, rule="hypentropy", hyp_beta=beta, **path)
    plus = (torch.sqrt(theta**2 + beta**2) + theta) / 2
    minus = beta**2 / 4 / plus
    for t in range(200):
        p.grad = torch.tanh(p.detach() - math.sin(0.3 * t))
        g = torch.tanh(plus - minus - math.sin(0.3 * t))
        optimizer.step()
        plus, minus = plus * torch.exp(-eta * g), minus * torch.exp(eta * g)
        assert (plus >= 0).all()
        assert (minus >= 0).all()
    assert ((p.sign() != theta.sign()).sum() > 50).item()  # weights have changed their signs
    torch.testing.assert_close(p.detach(), plus - minus, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [7.0, 18.0, 90.0, math.inf])
def test_no_shrinking_rounds_a_weight_to_zero_for_ever(dtype, size):
    theta = torch.tensor([1.0, -3.0, 1e-5], dtype=dtype)
    d = size * torch.sign(theta)
    for xi in (
        exponential(theta, d, 1.0),
        power(theta, d, 1.0, eta_in=1.0, eta_out=min(size, 1e3)),
    ):
        left = (theta - xi) / theta
        assert (left > 0).all()
        assert (left < 1e-2).all()


@given(theta=tensors(torch.float64), d=tensors(torch.float64), gamma=gammas, eta=etas, eta_in=etas)
def test_hybrid_is_the_convex_blend_elementwise(theta, d, gamma, eta, eta_in):
    expected = [
        gamma * 0.1 * abs(t) * math.tanh(eta_in * x) + (1 - gamma) * eta * x
        for t, x in zip(theta.tolist(), d.tolist(), strict=True)
    ]
    got = hybrid(theta, d, eta, eta_in=eta_in, eta_out=0.1, gamma=gamma)
    torch.testing.assert_close(
        got, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12
    )


def test_eta_out_is_the_learning_rate_unless_it_is_a_number():
    theta, d = torch.tensor([2.0]), torch.tensor([9.0])
    group = {"lr": 0.25, "eta_in": 1e6, "eta_out": None, "gamma": 1.0}
    for name in ("multiplicative", "hybrid"):
        assert get_rule(name)(theta, d, group).item() == 0.5
        assert get_rule(name)(theta, d, group | {"eta_out": 0.125}).item() == 0.25


@pytest.mark.parametrize(
    ("name", "own", "moves"),
    [
        ("additive", {}, True),
        ("multiplicative", {"eta_in": 1.0, "eta_out": None}, False),
        ("exponential", {}, False),
        ("power", {"eta_in": 1.0, "eta_out": 0.5}, False),
        ("hypentropy", {"hyp_beta": 0.1}, True),
        ("hybrid", {"eta_in": 1.0, "eta_out": None, "gamma": 0.9}, True),
        ("hybrid", {"eta_in": 1.0, "eta_out": None, "gamma": 1}, False),
        ("hybrid", {"eta_in": 1.0, "eta_out": None, "gamma": torch.tensor(1.0)}, False),
        ("hybrid", {"eta_in": 1.0, "eta_out": None, "gamma": torch.tensor(0.0)}, True),
    ],
)
def test_which_rules_move_zeros(name, own, moves):
    assert get_rule(name).moves_zeros(own) is moves


def test_an_unknown_rule_names_the_nearest():
    with pytest.raises(ValueError, match=r"got 'hybird'\. Did you mean 'hybrid'\?"):
        get_rule("hybird")


def test_a_registered_rule_is_found_and_another_function_of_its_name_is_refused(own_rules):
    @register_rule("sign")
    def sign(theta, d, eta, *, strength=0.5):
        return strength * eta * torch.sign(d)

    rule = get_rule("sign")
    assert {h.name: h.default for h in rule.hyperparameters.values()} == {"strength": 0.5}
    group = {"lr": 0.5, "strength": 2.0}
    assert rule(torch.ones(1), torch.tensor([-3.0]), group).item() == -1
    with pytest.raises(ValueError, match="already registered"):
        register_rule("sign")(lambda theta, d, eta: d)
    register_rule("sign")(sign)


def test_an_own_rule_gets_what_the_built_in_ones_get(own_rules):
    limit = Hyperparameter("limit", "κ", 0.1, Interval(0, 1), "largest change")

    @register_rule("own", limit)
    def own(theta, d, eta, *, eta_out, gamma=0.25, limit):
        return eta_out * gamma * d.clamp(-limit, limit)

    p = torch.ones(1, requires_grad=True)
    optimizer = SGD([p], lr=1.0, rule="own")
    group = optimizer.param_groups[0]
    assert (group["eta_out"], group["limit"]) == (None, 0.1)
    refused: list[tuple[dict[str, Any], str]]
    refused = [({"limit": 2}, r"limit must be in \[0, 1\]"), ({"eta_out": -1}, "eta_out must be")]
    for bad, message in refused:
        with pytest.raises(ValueError, match=message):
            SGD([p], rule="own", **bad)
    with pytest.raises(ValueError, match="no keyword-only argument 'size'"):
        register_rule("two", Hyperparameter("size", "s"))(lambda theta, d, eta: d)


def test_two_rules_of_one_factory_are_two(own_rules):
    def factory(scale):
        def rule(theta, d, eta):
            return scale * eta * d

        return rule

    register_rule("scaled")(factory(2.0))
    register_rule("scaled")(factory(2.0))  # the same again, as when a module is loaded twice
    with pytest.raises(ValueError, match="already registered"):
        register_rule("scaled")(factory(3.0))
