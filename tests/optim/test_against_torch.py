"""Invariant 5: additive is torch.optim. And every rule is torch's own step, pushed through it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.optim.reference import BASES, CASES, LR, decay_of, pair, scalar_rule

STEPS = 200
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def weights(seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(4, 3), (3,), (), (2, 1, 2)]
    return [torch.randn(s, generator=generator, dtype=dtype) for s in shapes]


def set_gradients(params, t, sign=1):
    """Of Σ log cosh(p − c_t), c_t different each step as minibatches are: convex with bounded
    gradients, so that rounding errors are compared and not the chaos that would amplify them."""
    with torch.no_grad():
        for i, p in enumerate(params):
            p.grad = sign * torch.tanh(p - math.sin(0.3 * t + i))


def train(optimizer, params, steps=STEPS, scheduler=None):
    sign = -1 if optimizer.defaults["maximize"] else 1
    for t in range(steps):
        set_gradients(params, t, sign)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()


def worst(ours, theirs):
    """Largest difference relative to the largest weight of the tensor."""
    pairs = zip(ours, theirs, strict=True)
    return max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs)


def leaves(values):
    return [v.clone().requires_grad_() for v in values]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("base", "options"), CASES, ids=str)
def test_additive_is_torch(base, options, dtype, record_property):
    a, b = leaves(weights(1, dtype)), leaves(weights(1, dtype))
    one, other = pair(base, options, a, b, rule="additive")
    train(one, a)
    train(other, b)
    error = worst(a, b)
    kind = str(dtype).removeprefix("torch.")
    record_property("additive_vs_torch", (f"{base} {kind}", error))
    assert error <= TOLERANCE[dtype]


SCHEDULERS = {
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS),
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, 50, 0.3),
    "exponential": lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.99),
}


@pytest.mark.parametrize("schedule", SCHEDULERS)
@pytest.mark.parametrize("base", BASES)
def test_additive_is_torch_with_groups_and_a_scheduler(base, schedule):
    ends = []
    for make in BASES[base]:
        params = leaves(weights(2, torch.float64))
        groups = [
            {"params": params[:2], "lr": LR[base] * 2, "weight_decay": 0.1},
            {"params": params[2:]},
        ]
        own = {"rule": "additive"} if make is BASES[base][0] else {}
        momentum = {"momentum": 0.9} if base == "sgd" else {}
        optimizer = make(groups, lr=LR[base], **momentum, **own)
        train(optimizer, params, scheduler=SCHEDULERS[schedule](optimizer))
        ends.append(params)
    assert worst(*ends) <= TOLERANCE[torch.float64]


@given(
    base=st.sampled_from(sorted(BASES)),
    lr=st.floats(1e-4, 0.3),
    weight_decay=st.sampled_from([0.0, 1e-3, 0.3]),
    momentum=st.sampled_from([0.0, 0.5, 0.99]),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=40)
def test_additive_is_torch_for_any_hyperparameters(base, lr, weight_decay, momentum, seed):
    options = {"weight_decay": weight_decay}
    if base in ("sgd", "rmsprop"):
        options["momentum"] = momentum
    values = weights(seed, torch.float64)
    a, b = leaves(values), leaves(values)
    make, make_torch = BASES[base]
    train(make(a, lr=lr, rule="additive", **options), a, 30)
    train(make_torch(b, lr=lr, **options), b, 30)
    assert worst(a, b) <= TOLERANCE[torch.float64]


RULES = ["additive", "multiplicative", "hybrid", "exponential", "power", "hypentropy"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("base", "options"), [c for c in CASES if not c[1].get("maximize")], ids=str
)
def test_every_rule_is_torchs_own_step_pushed_through_it(base, options, rule):
    """torch's optimizer walks along our trajectory; the step it would take is η·d."""
    hyper = {"eta_in": 0.7, "eta_out": None if rule == "power" else 0.2, "gamma": 0.3}
    a, b = leaves(weights(3, torch.float64)), leaves(weights(3, torch.float64))
    one, other = pair(base, options, a, b, rule=rule, **hyper)
    decay = LR[base] * decay_of(base, options)
    for t in range(25):
        before = [p.detach().clone() for p in a]
        for params, optimizer in ((a, one), (b, other)):
            set_gradients(params, t)
            optimizer.step()
        for p, q, start in zip(a, b, before, strict=True):
            theta = start * (1 - decay)
            d = (theta - q.detach()) / LR[base]
            flat = [
                x - scalar_rule(rule, x, y, LR[base], **hyper)
                for x, y in zip(theta.flatten().tolist(), d.flatten().tolist(), strict=True)
            ]
            expected = torch.tensor(flat, dtype=torch.float64).view_as(p)
            torch.testing.assert_close(p.detach(), expected, rtol=1e-11, atol=1e-12)
            q.data.copy_(p.data)


@pytest.mark.parametrize("base", BASES)
def test_without_a_word_it_is_torchs_optimizer(base):
    """No argument but ``params``, on both sides."""
    a, b = leaves(weights(4, torch.float64)), leaves(weights(4, torch.float64))
    make, make_torch = BASES[base]
    one, other = make(a), make_torch(b)
    train(one, a)
    train(other, b)
    assert worst(a, b) <= TOLERANCE[torch.float64]
    assert {k: v.keys() for k, v in one.state_dict()["state"].items()} == {
        k: v.keys() for k, v in other.state_dict()["state"].items()
    }
