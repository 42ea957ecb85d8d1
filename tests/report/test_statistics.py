"""Each statistic against scipy, a closed form, or numbers worked out by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from gofau.report.statistics import half_width, holm, near_best, profiles, summary


def test_the_interval_is_students():
    x = np.random.default_rng(1).normal(3, 2, size=7)
    s = summary(x)
    expected = stats.t.interval(0.95, len(x) - 1, loc=x.mean(), scale=stats.sem(x))
    assert (s.low, s.high) == pytest.approx(expected)
    assert (s.n, s.mean, s.sd) == (7, pytest.approx(x.mean()), pytest.approx(x.std(ddof=1)))


def test_what_n_does_not_allow_is_nan():
    one, none = summary([0.7]), summary([math.nan])
    assert (one.n, one.mean) == (1, 0.7)
    assert all(map(math.isnan, (one.sd, one.low, one.high, one.half)))
    assert none.n == 0
    assert math.isnan(none.mean)


def test_equal_values_have_an_interval_of_no_width():
    assert summary([0.5] * 5).half == 0


def test_fewer_than_five_have_no_interval():
    four = summary([0.1, 0.2, 0.3, 0.4])
    assert (four.n, four.mean) == (4, pytest.approx(0.25))
    assert four.sd > 0
    assert math.isnan(four.low)
    assert half_width(four.sd, 4, 0.9) == pytest.approx(stats.t.ppf(0.95, 3) * four.sd / 2)


def test_missing_values_are_left_out():
    x = [1.0, 3.0, 4.0, 4.5, 5.0]
    assert summary([*x, math.nan]) == summary(x)


def test_holm_by_hand():
    # Holm's own steps: 4·0.005, 3·0.01, 2·0.03, then no less than the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    corrected = holm([0.02, math.nan])
    assert corrected[0] == 0.02
    assert math.isnan(corrected[1])
    assert holm([]) == []


def test_near_best():
    assert near_best([0.90, 0.88, 0.879, math.nan], best=0.90) == pytest.approx(2 / 3)
    assert math.isnan(near_best([], best=0.9))


def test_profiles_with_ties_failures_and_zeros():
    costs = [[1.0, 1.0], [2.0, np.inf], [0.0, 3.0], [np.nan, np.inf]]
    first, second = profiles(costs, [1.0, 10.0])
    assert first.tolist() == [0.75, 0.75]
    assert second.tolist() == [0.25, 0.25]
