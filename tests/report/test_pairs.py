"""Paired comparisons: Student's interval over the seeds' means, and only of runs made alike."""

import math

import numpy as np
import pytest
from scipy import stats

from gofau.report.cells import prepare
from gofau.report.pairs import compare, differences, over_seeds, told, unlike_cells
from tests.report.records import runs


def test_the_interval_is_students_over_the_seeds_means():
    d = np.random.default_rng(3).normal(1, 1, size=(4, 7))
    c = compare(d)
    t = stats.ttest_1samp(d.mean(axis=0), 0).confidence_interval(0.95)
    assert (c.low, c.high) == pytest.approx((t.low, t.high))
    assert (c.mean, c.sd) == pytest.approx((d.mean(), d.mean(axis=0).std(ddof=1)))
    assert (c.cells, c.seeds, c.pairs, c.missing) == (4, 7, 28, 0)


def test_fewer_than_five_seeds_have_no_interval_however_many_cells():
    c = compare(np.random.default_rng(0).normal(size=(30, 4)))
    assert math.isnan(c.low)
    assert (c.seeds, c.pairs) == (4, 120)


def test_a_seed_that_lacks_a_cell_has_no_say():
    d = np.arange(12.0).reshape(2, 6)
    d[0, 5] = np.nan
    c = compare(d)
    assert c.mean == pytest.approx(d[:, :5].mean())
    assert (c.seeds, c.pairs, c.expected, c.missing) == (5, 11, 12, 1)
    every = np.array([[0.1, math.nan], [math.nan, 0.3]])
    assert compare(every).mean == pytest.approx(0.2)
    assert compare(every).seeds == 0


def test_none_has_nothing():
    none = compare([[math.nan, math.nan]])
    assert (none.pairs, none.expected) == (0, 2)
    assert math.isnan(none.mean)


def frame(threads=lambda row: 1, **columns):
    found = runs(lambda w: 0.8 + 0.1 * (w["rule"] == "hybrid"), optimizer=("sgd",))
    found["compute.threads"] = [threads(row) for row in found.to_dict("records")]
    return prepare(found.assign(**columns))


def test_runs_of_a_pair_are_made_alike_or_they_are_no_pair():
    alike = over_seeds(differences(frame(), "hybrid"))
    assert (alike.pairs, dict(alike.unlike)) == (5, {})
    mixed = frame(lambda row: 2 if row["rule.name"] == "hybrid" and row["seed"] == 3 else 1)
    c = over_seeds(differences(mixed, "hybrid"))
    assert (c.pairs, c.missing, dict(c.unlike)) == (4, 1, {"threads": 1})
    assert told([c.unlike]) == (
        "Pairs left out because their two runs were made under different conditions: threads: 1."
    )
    assert told([alike.unlike]) == ""
    ((_, seed),) = unlike_cells(mixed, differences(mixed, "hybrid"), "lr")
    assert seed == 3


def test_a_whole_seed_on_another_machine_is_a_pair():
    c = over_seeds(differences(frame(lambda row: 2 if row["seed"] == 3 else 1), "hybrid"))
    assert (c.pairs, dict(c.unlike)) == (5, {})


def test_what_a_record_does_not_say_makes_no_pair_unlike():
    c = over_seeds(
        differences(frame(lambda row: 1 if row["rule.name"] == "hybrid" else None), "hybrid")
    )
    assert c.pairs == 5


def test_a_difference_is_above_zero_where_the_rule_is_better():
    from tests.report.records import with_metric

    found = runs(lambda w: 0.8 + 0.1 * (w["rule"] == "hybrid"), optimizer=("sgd",))
    lower = prepare(with_metric(found, "mse", lambda acc: 1 - acc))
    assert over_seeds(differences(lower, "hybrid")).mean == pytest.approx(0.1)
    assert math.isnan(over_seeds(differences(lower, "hybrid")).image_error)
