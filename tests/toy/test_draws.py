"""Thousands of drawn configurations at once are what the optimizers do with each of them."""

from functools import partial

import pytest
import torch

from gofau import optim
from gofau.toy import PROBLEMS, descend
from gofau.toy.configurations import Range, best_after, distances, draw, ends

RANGES = {
    "lr": Range(1e-3, 1.0, log=True),
    "eta_in": Range(1e-2, 10.0, log=True),
    "gamma": Range(0.0, 1.0, log=False),
    "eta_out": Range(1e-3, 0.5, log=True),
}
ARMS = {
    "additive": ["lr"],
    "multiplicative": ["lr", "eta_in"],
    "hybrid": ["lr", "eta_in", "gamma", "eta_out"],
    "exponential": ["lr"],
    "power": ["lr", "eta_in"],
}
BASES = {
    "SGD": {},
    "Adagrad": {"lr_decay": 0.1},
    "RMSprop": {"momentum": 0.5, "centered": True},
    "Adam": {"amsgrad": True},
    "AdamW": {},
}


@pytest.mark.parametrize("rule", ARMS)
@pytest.mark.parametrize("base", BASES)
def test_configurations_as_tensors_are_param_groups(base, rule):
    """Also one at a time, and with the optimizer's own settings."""
    make = partial(getattr(optim, base), **BASES[base])
    drawn = draw(RANGES, 12, 0, "sobol")
    values = {name: drawn[name] for name in ARMS[rule]}
    for problem, point in (("bowl", [2.0, -0.5]), ("rosenbrock", [1.5, 3.0])):
        f, start = PROBLEMS[problem], torch.tensor(point, dtype=torch.float64)
        batch = ends(f, make, rule, values, start, 30)
        arms = [{"rule": rule, **{n: v[i].item() for n, v in values.items()}} for i in range(12)]
        *_, (_, points) = descend(f, partial(make, foreach=False), arms, start[None], 30)
        torch.testing.assert_close(batch, points[:, 0], rtol=1e-9, atol=1e-9, equal_nan=True)


def test_a_configuration_does_not_depend_on_those_beside_it():
    start = torch.tensor([67.0, 22.0], dtype=torch.float64)
    values = {name: v for name, v in draw(RANGES, 50, 3, "random").items() if name != "eta_out"}
    lost = {name: torch.cat((v, torch.tensor([1e300]))) for name, v in values.items()}
    alone = ends(PROBLEMS["tilted"], optim.SGD, "hybrid", values, start, 100)
    beside = ends(PROBLEMS["tilted"], optim.SGD, "hybrid", lost, start, 100)
    assert torch.equal(alone, beside[:-1])
    assert start.tolist() == [67.0, 22.0]


def test_what_is_no_longer_finite_is_infinitely_far():
    points = torch.tensor([[1.0, 1.0], [float("nan"), 1.0], [float("inf"), 1.0], [1.0, 3.0]])
    assert distances(PROBLEMS["bowl"], points).tolist() == [0, torch.inf, torch.inf, 2]


@pytest.mark.parametrize("sequence", ["sobol", "random"])
def test_draws_lie_in_their_ranges_and_begin_alike(sequence):
    drawn = draw(RANGES, 1000, 5, sequence)
    assert list(drawn) == list(RANGES)
    for name, it in RANGES.items():
        assert drawn[name].shape == (1000,)
        assert it.low <= drawn[name].min() <= drawn[name].max() <= it.high
    few = draw(RANGES, 10, 5, sequence)
    assert all(torch.equal(few[name], drawn[name][:10]) for name in RANGES)
    other = draw(RANGES, 10, 6, sequence)
    assert not any(torch.equal(few[name], other[name]) for name in RANGES)
    # Half of the learning rates lie below the geometric middle of their range.
    assert (drawn["lr"] < 1e-3**0.5).double().mean() == pytest.approx(0.5, abs=0.05)
    assert (drawn["gamma"] < 0.5).double().mean() == pytest.approx(0.5, abs=0.05)


def test_a_sobol_sequence_fills_its_range_evenly():
    """Each eighth of the range gets an eighth of 64 points, whatever the scramble."""
    for seed in range(5):
        gamma = draw(RANGES, 64, seed, "sobol")["gamma"]
        assert torch.histc(gamma, 8, 0, 1).tolist() == [8] * 8


def test_the_ends_of_a_range_are_told():
    lr = Range(1e-4, 1e4, log=True)
    assert [lr.is_near_an_end(x) for x in (1.2e-4, 1e-2, 1.0, 9e3)] == [True, False, False, True]
    gamma = Range(0.0, 1.0, log=False)
    assert [gamma.is_near_an_end(x) for x in (0.01, 0.03, 0.99)] == [True, False, True]


def test_the_best_of_the_first_few():
    distance = torch.tensor([4.0, torch.inf, 2.0, 3.0])
    assert best_after(distance, [1, 2, 3, 4]) == [4, 4, 2, 2]
