"""Each statistic against scipy, a closed form, or numbers worked out by hand."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from gofau.report.statistics import holm, near_best, profiles, summary, wilcoxon


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
    assert summary([0.5] * 4).half == 0


def test_missing_values_are_left_out():
    assert summary([1.0, math.nan, 3.0]) == summary([1.0, 3.0])


def test_holm_by_hand():
    # Holm's own steps: 4·0.005, 3·0.01, 2·0.03, then no less than the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    corrected = holm([0.02, math.nan])
    assert corrected[0] == 0.02
    assert math.isnan(corrected[1])
    assert holm([]) == []


@pytest.mark.parametrize("n", [5, 12, 30])
def test_wilcoxon_without_ties_is_scipys_exact_one(n):
    x = np.random.default_rng(n).normal(0.4, 1, size=n)
    assert wilcoxon(x) == pytest.approx(stats.wilcoxon(x, method="exact")[1])


def test_wilcoxon_with_ties_counts_all_signs():
    x = [1.0, -1.0, 2.0, 2.0, 3.0, 0.0]
    ranks = stats.rankdata(np.abs(x[:5]))
    observed = abs(np.dot(np.sign(x[:5]), ranks))
    sums = [abs(np.dot(signs, ranks)) for signs in product((-1, 1), repeat=5)]
    assert wilcoxon(x) == pytest.approx(np.mean([s >= observed for s in sums]))


def test_wilcoxon_of_nothing():
    assert math.isnan(wilcoxon([]))
    assert math.isnan(wilcoxon([0.0, 0.0]))
    assert wilcoxon([0.3]) == 1.0


def test_near_best():
    assert near_best([0.90, 0.88, 0.879, math.nan], best=0.90) == pytest.approx(2 / 3)
    assert math.isnan(near_best([], best=0.9))


def test_profiles_with_ties_failures_and_zeros():
    costs = [[1.0, 1.0], [2.0, np.inf], [0.0, 3.0], [np.nan, np.inf]]
    first, second = profiles(costs, [1.0, 10.0])
    assert first.tolist() == [0.75, 0.75]
    assert second.tolist() == [0.25, 0.25]
