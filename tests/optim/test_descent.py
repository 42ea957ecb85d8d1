"""Measured and predicted decrease, against a quadratic, where both are known in closed form."""

import math

import pytest
import torch

from gofau.optim import SGD, Adam
from gofau.optim.descent import LossAround, of_relative_size
from gofau.optim.diagnostics import directions_of
from gofau.optim.rules import multiplicative

SHAPES = ((2, 3), (4,))


def flat(tensors):
    return torch.cat([t.detach().flatten() for t in tensors])


class Quadratic:
    """f(θ) = ½·θᵀHθ + bᵀθ over two tensors."""

    def __init__(self):
        make = torch.Generator().manual_seed(3)
        root = torch.randn(10, 10, generator=make, dtype=torch.float64)
        self.hessian = root @ root.T
        self.b = torch.randn(10, generator=make, dtype=torch.float64)
        draw = [
            torch.randn(shape, generator=make, dtype=torch.float64) for shape in (*SHAPES, *SHAPES)
        ]
        self.weights = [p.requires_grad_() for p in draw[:2]]
        d, pairs = draw[2:], zip(self.weights, draw[2:], strict=True)
        self.additive = [-x for x in d]
        self.multiplicative = [
            -multiplicative(p.detach(), x, 1.0, eta_in=3.0, eta_out=1.0) for p, x in pairs
        ]

    def loss(self):
        x = torch.cat([p.flatten() for p in self.weights])
        return x @ self.hessian @ x / 2 + self.b @ x

    def gradient(self):
        return self.hessian @ flat(self.weights) + self.b


@pytest.mark.parametrize("rule", ["additive", "multiplicative"])
@pytest.mark.parametrize("per_tensor", [False, True])
@pytest.mark.parametrize("size", [1e-4, 1e-2, 0.3, 1.0])
def test_measured_less_predicted_is_half_the_curvature_along_the_step(rule, per_tensor, size):
    f = Quadratic()
    before = flat(f.weights)
    around = LossAround(f.loss, f.weights)
    step = of_relative_size(getattr(f, rule), f.weights, size, per_tensor)
    predicted, measured = around.decrease(step)
    x, g = flat(step), f.gradient()
    assert predicted == pytest.approx(-(g @ x).item(), rel=1e-12)
    assert measured - predicted == pytest.approx(-(x @ f.hessian @ x / 2).item(), rel=1e-6)
    assert around.cosine(step) == pytest.approx(-(g @ x / (g.norm() * x.norm())).item(), rel=1e-12)
    assert around.value == f.loss().item()
    assert torch.equal(flat(f.weights), before)


@pytest.mark.parametrize("per_tensor", [False, True])
def test_both_rules_are_compared_at_the_same_relative_size(per_tensor):
    f = Quadratic()
    for change in (f.additive, f.multiplicative):
        step = of_relative_size(change, f.weights, 0.02, per_tensor)
        parts = zip(step, f.weights, strict=True) if per_tensor else [(flat(step), flat(f.weights))]
        for x, p in parts:
            assert (x.norm() / p.norm()).item() == pytest.approx(0.02, rel=1e-12)
        for x, y in zip(step, change, strict=True):  # along what was given, tensor by tensor
            assert torch.cosine_similarity(x.flatten(), y.flatten(), dim=0).item() > 1 - 1e-12


def test_a_step_along_steepest_descent_has_cosine_one_and_a_weight_without_effect_gradient_zero():
    p, idle = (torch.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    around = LossAround(lambda: p.square().sum(), [p, idle])
    assert around.gradient[1].tolist() == [0.0, 0.0]
    assert around.cosine([-p.detach(), torch.zeros(2)]) == pytest.approx(1)
    assert around.cosine([p.detach(), torch.zeros(2)]) == pytest.approx(-1)
    assert math.isnan(around.cosine([torch.zeros(2), torch.zeros(2)]))


def test_the_weights_are_as_before_where_the_loss_fails():
    p, calls = torch.ones(2, requires_grad=True), []

    def loss():
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("out of memory")
        return p.sum()

    around = LossAround(loss, [p])
    with pytest.raises(RuntimeError, match="out of memory"):
        around.decrease([torch.ones(2)])
    assert p.tolist() == [1.0, 1.0]


ONES, ZEROS = [torch.ones(2)], [torch.zeros(2)]


@pytest.mark.parametrize(
    ("change", "weights", "size", "sentence"),
    [
        (ONES, ONES, 0.0, "a relative size must be a finite number > 0, got 0.0"),
        (ONES, ONES, -1e-3, "got -0.001"),
        (ONES, ONES, math.nan, "got nan"),
        (ONES, ONES, math.inf, "got inf"),
        (ONES, ZEROS, 0.1, "weights that are all zero have no relative size"),
        (ZEROS, ONES, 0.1, "a step of zero has no relative size"),
    ],
)
def test_what_has_no_relative_size_is_refused(change, weights, size, sentence):
    with pytest.raises(ValueError, match=sentence):
        of_relative_size(change, weights, size)


def test_a_tensor_of_zeros_among_others_has_no_relative_size_of_its_own():
    change, weights = [*ONES, *ONES], [*ONES, *ZEROS]
    assert len(of_relative_size(change, weights, 0.1)) == 2
    with pytest.raises(ValueError, match="all zero"):
        of_relative_size(change, weights, 0.1, per_tensor=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda params: SGD(params, lr=0.1, momentum=0.9),
        lambda params: Adam(params, lr=0.01, rule="multiplicative"),
    ],
)
def test_the_direction_is_that_of_the_step_which_follows(make):
    """The additive step is η·d, the multiplicative one η·|θ|·tanh(d)."""
    p, still = torch.tensor([0.5, -2.0, 1.0], requires_grad=True), torch.ones(1, requires_grad=True)
    optimizer = make([p, still])
    for t in range(1, 4):
        p.grad = t * torch.tensor([0.3, -1.0, 0.2])
        before, state = p.detach().clone(), str(optimizer.state_dict())
        found = directions_of(optimizer)
        assert set(found) == {p}
        assert torch.equal(p, before)
        assert str(optimizer.state_dict()) == state
        optimizer.step()
        group, d = optimizer.param_groups[0], found[p]
        scale = before.abs() * torch.tanh(d) if group["rule"] == "multiplicative" else d
        assert torch.allclose(before - p.detach(), group["lr"] * scale, rtol=1e-5, atol=1e-7)
