"""The problems are what they say, and a batch of descents is many single ones."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gofau import optim
from gofau.toy import PROBLEMS, descend, score

NAMES = list(PROBLEMS)
RULES = {
    "additive": {},
    "multiplicative": {"eta_in": 10.0},
    "hybrid": {"eta_in": 10.0, "gamma": 0.5},
    "exponential": {},
    "power": {"eta_in": 10.0},
}
ARMS = [{"rule": rule, **values} for rule, values in RULES.items()]
BASES = {"SGD": {"lr": 1e-3, "momentum": 0.0}, "Adam": {"lr": 1e-2}}


def some_starts(problem, side=5, dtype=torch.float64):
    axes = [torch.linspace(*ends, side, dtype=dtype) for ends in PROBLEMS[problem].box]
    return torch.cartesian_prod(*axes)


def last(*args, **more):
    return [points.clone() for _, points in descend(*args, **more)][-1]


@pytest.mark.parametrize("name", NAMES)
@given(st.floats(0, 1), st.floats(0, 1))
def test_the_gradient_is_the_values(name, x, y):
    problem = PROBLEMS[name]
    ends = torch.tensor(problem.box, dtype=torch.float64)
    low, high = ends.unbind(1)
    point = low + (high - low) * torch.tensor([x, y], dtype=torch.float64)
    torch.testing.assert_close(problem.gradient(point), autograd(problem, point))
    assert problem.value(point) >= problem.value(torch.tensor(problem.minima[0]).double()) - 1e-9


def autograd(problem, points):
    points = points.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(problem.value(points).sum(), points)
    return gradient


@pytest.mark.parametrize("name", NAMES)
def test_the_minima_are_minima(name):
    problem = PROBLEMS[name]
    minima = torch.tensor(problem.minima, dtype=torch.float64)
    assert problem.value(minima).abs().max() < 1e-12
    assert problem.gradient(minima).abs().max() < 1e-9
    assert problem.distance(minima).max() < 1e-12
    around = minima[:, None] + 1e-3 * torch.randn(100, 2, dtype=torch.float64)
    assert (problem.value(around) > 0).all()
    for minimum, (low, high) in zip(minima.T, problem.box, strict=True):
        assert ((low < minimum) & (minimum < high)).all()


@pytest.mark.parametrize("name", NAMES)
def test_shapes_are_the_points(name):
    problem, points = PROBLEMS[name], torch.randn(3, 4, 2)
    assert problem.value(points).shape == problem.distance(points).shape == (3, 4)
    assert problem.same_signs(points).shape == (3, 4)
    assert problem.gradient(points).shape == (3, 4, 2)
    torch.testing.assert_close(problem.gradient(points)[1, 2], problem.gradient(points[1, 2]))


def test_signs_say_what_scaling_can_reach():
    points = torch.tensor([[2.0, 0.1], [-2.0, 0.1], [2.0, 0.0]])
    assert PROBLEMS["bowl"].same_signs(points).tolist() == [True, False, False]
    assert PROBLEMS["sphere"].same_signs(points).tolist() == [True, True, True]
    assert PROBLEMS["himmelblau"].same_signs(points).tolist() == [True, True, False]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", ["bowl", "rosenbrock"])
def test_a_batch_is_a_loop_over_starts_with_torch(base, name):
    """Additive, 300 steps in float32: the same as one torch.optim optimizer per start."""
    settings, problem = BASES[base], PROBLEMS[name]
    points = some_starts(name, 2, torch.float32)
    ours = partial(getattr(optim, base), fused=True)
    batch = last(problem, ours, [{"rule": "additive", **settings}], points, 300, every=300)[0]
    for start, end in zip(points, batch, strict=True):
        p = start.clone().requires_grad_()
        optimizer = getattr(torch.optim, base)([p], **settings)
        for _ in range(300):
            optimizer.zero_grad()
            problem.value(p).backward()
            optimizer.step()
        assert (p - end).abs().max() <= 1e-5


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("base", BASES)
def test_a_batch_is_a_loop_over_starts_and_arms(base, fused):
    """Every rule, on every problem: what is beside a start does not matter."""
    make = partial(getattr(optim, base), fused=fused, **BASES[base])
    for name in NAMES:
        points = some_starts(name, 2)
        batch = last(PROBLEMS[name], make, ARMS, points, 20)
        for i, arm in enumerate(ARMS):
            for j, start in enumerate(points):
                single = last(PROBLEMS[name], make, [arm], start[None], 20)
                torch.testing.assert_close(
                    batch[i, j], single[0, 0], rtol=1e-12, atol=1e-12, equal_nan=True
                )


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("lost", [[1e30, 1e30], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_a_start_that_diverges_leaves_the_others_alone(lost, fused):
    problem, points = PROBLEMS["rosenbrock"], some_starts("rosenbrock", dtype=torch.float32)
    make = partial(optim.Adam, lr=0.1, fused=fused)
    alone = last(problem, make, ARMS, points, 100)
    beside = last(problem, make, ARMS, torch.cat((points, torch.tensor([lost]))), 100)
    assert torch.equal(alone, beside[:, :-1])


def test_divergence_is_told_and_costs_what_it_can_cost():
    points = torch.tensor([[2.0, 2.0], [1.1, 1.1]])
    arms = [{"rule": "additive", "lr": lr} for lr in (1e-4, 1.0)]
    scores = score(PROBLEMS["rosenbrock"], partial(optim.SGD, momentum=0.0), arms, points, 100)
    assert scores.diverged.tolist() == [[False, False], [True, True]]
    diagonal = PROBLEMS["rosenbrock"].diagonal
    assert (scores.distance[1] == diagonal).all()
    assert (scores.score <= diagonal).all()
    assert not scores.converged[1].any()


def test_a_start_at_the_minimum_has_converged_at_once():
    for name, problem in PROBLEMS.items():
        points = torch.tensor(problem.minima)
        scores = score(problem, partial(optim.SGD, lr=1e-4), ARMS, points, 10)
        assert (scores.arrived == 0).all(), name
        assert not scores.diverged.any()


@given(st.floats(-3, 3), st.floats(-3, 3), st.sampled_from(["bowl", "sphere", "himmelblau"]))
def test_rules_that_scale_keep_signs_and_zeros(x, y, name):
    """Alone or in a batch: zero_init is the literal reading here."""
    for points in (torch.tensor([[x, 0.0]]), torch.tensor([[x, 0.0], [0.0, 0.0], [x, y]])):
        make = partial(optim.Adam, lr=0.05, fused=False)
        ends = last(PROBLEMS[name], make, ARMS, points, 30, every=30)
        for arm, end in zip(ARMS, ends, strict=True):
            if arm["rule"] in ("multiplicative", "exponential", "power"):
                assert torch.equal(end.sign(), points.sign())


def test_the_starts_are_left_as_they_were():
    points = torch.tensor([[2.0, 0.5]])
    last(PROBLEMS["bowl"], optim.SGD, ARMS[:1], points, 5)
    assert points.tolist() == [[2.0, 0.5]]


def test_looks_are_where_they_were_asked_for():
    looks = descend(PROBLEMS["bowl"], optim.SGD, ARMS, torch.ones(1, 2), 25, every=10)
    assert [t for t, _ in looks] == [0, 10, 20, 25]
