"""What a small test set adds to an interval."""

import math

import numpy as np
import pytest

from gofau.report.cells import prepare
from gofau.report.pairs import differences, over_seeds
from gofau.report.population import error_of_images, images, widened
from tests.report.records import runs


def test_the_number_of_images_is_read_off_the_accuracies():
    rng = np.random.default_rng(0)
    for count in (359, 360, 10_000):
        accuracies = rng.integers(0, count + 1, size=12) / count
        assert images(accuracies) == count
        assert images(np.append(accuracies, np.nan)) == count
    assert images([]) is None
    assert images(rng.random(50)) is None, "numbers that are no shares of anything"


def test_the_error_covers_what_other_images_would_have_given():
    """Two classifiers of known accuracy on independent images: their difference over many test
    sets varies by what is said, and by less where they fail on the same images."""
    rng, n, p, q = np.random.default_rng(1), 359, 0.95, 0.9
    independent = (rng.random((4000, n)) < p).mean(axis=1) - (rng.random((4000, n)) < q).mean(
        axis=1
    )
    error = error_of_images([p], [q], [n])
    assert independent.std() == pytest.approx(error, rel=0.05)
    hard = rng.random((4000, n))
    shared = (hard < p).mean(axis=1) - (hard < q).mean(axis=1)
    assert shared.std() < 0.8 * error


def test_more_seeds_or_cells_do_not_shrink_it():
    one = error_of_images([0.9], [0.8], [100])
    assert error_of_images([0.9] * 50, [0.8] * 50, [100] * 50) == pytest.approx(one)
    assert error_of_images([0.9, math.nan], [0.8, 0.8], [100, 100]) == pytest.approx(one)
    assert math.isnan(error_of_images([0.9], [0.8], [math.nan]))


def test_a_comparison_has_both_intervals():
    def accuracy(w):
        return (323 + 3 * (w["rule"] == "hybrid") + w["seed"] % 2 * (w["rule"] == "hybrid")) / 359

    c = over_seeds(differences(prepare(runs(accuracy, optimizer=("sgd",))), "hybrid"))
    assert c.low > 0, "on these images hybrid is better"
    low, high = c.beyond
    assert low < 0 < high, "and on others that is not known"
    assert high - c.mean == pytest.approx(widened(c.summary.half, c.image_error))
    assert widened(0.01, math.nan) != widened(0.01, math.nan)
