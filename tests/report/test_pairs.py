"""Paired comparisons: the interval against scipy's bootstrap and against what it should cover."""

import math

import numpy as np
import pytest
from scipy import stats

from gofau.report.pairs import compare


def test_of_one_cell_it_is_the_percentile_bootstrap_over_seeds():
    d = np.random.default_rng(3).normal(1, 1, size=8)
    theirs = stats.bootstrap(
        (d,), np.mean, method="percentile", n_resamples=20000, rng=np.random.default_rng(1)
    )
    ours = compare(d[None])
    interval = theirs.confidence_interval
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), abs=0.05)
    assert (ours.cells, ours.seeds) == (1, 8)
    transposed = compare(d[:, None])
    assert (transposed.low, transposed.high) == pytest.approx((ours.low, ours.high), abs=0.05)


def test_it_covers_the_mean_of_a_crossed_table():
    """Cells and seeds have effects of their own; taking all pairs for independent would not do."""
    rng = np.random.default_rng(0)
    hits = naive = 0
    for _ in range(100):
        d = rng.normal(size=(10, 1)) + rng.normal(size=(1, 10)) + 0.3 * rng.normal(size=(10, 10))
        c = compare(d)
        hits += c.low <= 0 <= c.high
        naive += abs(d.mean()) <= 1.96 * d.std() / 10
    assert hits >= 85
    assert naive < 60


def test_missing_pairs_are_counted_and_left_out():
    c = compare([[0.1, math.nan], [0.3, 0.2], [math.nan, math.nan]])
    assert (c.mean, c.pairs, c.expected, c.cells, c.seeds) == (pytest.approx(0.2), 3, 6, 2, 2)
    assert 0.1 <= c.low <= c.mean <= c.high <= 0.3


def test_one_pair_has_no_interval_and_none_has_nothing():
    one = compare([[0.1]])
    assert one.mean == 0.1
    assert math.isnan(one.low)
    none = compare([[math.nan, math.nan]])
    assert (none.pairs, none.expected) == (0, 2)
    assert math.isnan(none.mean)


def test_the_test_is_over_cells_where_there_are_several():
    d = np.array([[0.1, 0.2], [0.3, 0.5], [-0.1, 0.0], [0.4, 0.5]])
    assert compare(d).p == pytest.approx(stats.wilcoxon(d.mean(axis=1), method="exact")[1])
    assert compare(d[:1]).p == 0.5


def test_it_is_the_same_each_time():
    d = np.random.default_rng(5).normal(size=(4, 3))
    assert compare(d) == compare(d)


def test_few_differences_of_one_cell_get_students_interval():
    d = [0.1, 0.2, 0.3]
    t = stats.ttest_1samp(d, 0).confidence_interval(0.95)
    for found in (compare([d]), compare(np.array(d)[:, None])):
        assert (found.low, found.high) == pytest.approx((t.low, t.high))
    assert compare([[*d, 0.4, 0.5, 0.6]]).low > 0.1, "of six it is the bootstrap's"
