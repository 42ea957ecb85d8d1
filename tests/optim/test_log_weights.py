"""Moments of log|θ|, against scipy's and against distributions whose moments are known."""

import math

import pytest
import torch
from scipy import stats
from torch import nn

from gofau.optim.log_weights import layer_weights, log_moments, relative


def draws(kind, n=200_000):
    """Evenly spaced quantiles of a distribution: its moments without the noise of a sample."""
    uniform = (2 * torch.arange(n, dtype=torch.float64) + 1) / n - 1
    normal = math.sqrt(2) * torch.erfinv(uniform)
    sign = (-1.0) ** torch.arange(n)
    return {"normal": normal, "uniform": uniform, "log-normal": sign * (0.7 * normal).exp()}[kind]


@pytest.mark.parametrize(
    ("kind", "sd", "skew", "kurtosis", "near_zero"),
    [
        ("normal", math.pi / math.sqrt(8), -1.5351, 4.0, 2 * stats.norm.cdf(1e-3) - 1),
        ("uniform", 1.0, -2.0, 6.0, 1e-3 / math.sqrt(3)),
        ("log-normal", 0.7, 0.0, 0.0, 0.0),
    ],
)
def test_distributions_whose_moments_are_known(kind, sd, skew, kurtosis, near_zero):
    found = log_moments([0.01 * draws(kind)])
    assert found.sd == pytest.approx(sd, rel=1e-3)
    assert found.skew == pytest.approx(skew, abs=0.01)
    assert found.kurtosis == pytest.approx(kurtosis, abs=0.05)
    assert found.near_zero == pytest.approx(near_zero, abs=2e-5)


def test_the_moments_are_scipys():
    weights = draws("normal", 50).float()
    x = weights.double().abs().log().numpy()
    found = log_moments([weights.reshape(5, 10)])
    assert found.n == 50
    assert found.skew == pytest.approx(stats.skew(x))
    assert found.kurtosis == pytest.approx(stats.kurtosis(x))
    assert found.sd == pytest.approx(x.std())
    assert found.mean == pytest.approx(x.mean() - math.log(weights.double().square().mean().sqrt()))


def test_zeros_are_counted_and_left_out_of_the_moments():
    weights = torch.tensor([1.0, -math.e, 0.0, 5e-4])
    found = log_moments([weights])
    assert (found.n, found.zeros, found.near_zero) == (4, 0.25, 0.5)
    assert found.sd == pytest.approx(
        torch.tensor([0.0, 1.0, math.log(5e-4)]).std(correction=0).item()
    )


def test_layers_of_different_scale_are_looked_at_together():
    one = draws("normal", 1000)
    alone, both = log_moments([one]), log_moments([one, 1e4 * one])
    assert both.n == 2000
    assert both[1:] == pytest.approx(alone[1:])


def test_weights_that_are_all_equal_have_no_shape():
    found = log_moments([torch.full((7,), -0.1)])
    assert found.sd == pytest.approx(0, abs=1e-12)
    assert math.isnan(found.skew)
    assert math.isnan(found.kurtosis)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ([], "there are no weights"),
        ([torch.empty(0)], "there are no weights"),
        ([torch.ones(2), torch.zeros(2)], "a tensor of weights is all zero"),
        ([torch.tensor([1.0, math.nan])], "a weight is NaN or infinite"),
        ([torch.tensor([1.0, math.inf])], "a weight is NaN or infinite"),
    ],
)
def test_what_has_no_distribution_is_refused(weights, sentence):
    with pytest.raises(ValueError, match=sentence):
        relative(weights)
    with pytest.raises(ValueError, match=sentence):
        log_moments(weights)


def test_of_a_model_the_weights_of_layers_count():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    assert list(layer_weights(model)) == ["0.weight", "3.weight"]
