"""Tuning curves against what they count, and importance against functions whose parts are known."""

import importlib
import itertools
import math

import numpy as np
import pandas as pd
import pytest

from gofau.report.cells import prepare
from gofau.report.importance import importance, main_effects
from gofau.report.tuning import expected_best, median_interval, tuning, tuning_data
from tests.report.records import runs, with_metric


def test_the_expected_best_is_the_mean_over_all_subsets():
    x = np.random.default_rng(0).normal(size=7)
    found = expected_best(x)
    for k in range(1, 8):
        subsets = [max(chosen) for chosen in itertools.combinations(x, k)]
        assert found[k - 1] == pytest.approx(np.mean(subsets))
    assert np.isfinite(expected_best(np.arange(400.0))).all(), "binomials do not overflow"


def test_it_is_unbiased():
    rng = np.random.default_rng(1)
    found = np.mean([expected_best(rng.random(25)) for _ in range(1500)], axis=0)
    k = np.arange(1, 26)
    assert np.allclose(found, k / (k + 1), atol=0.01), (
        "of k uniform numbers, the highest is k/(k+1)"
    )


@pytest.mark.parametrize("k", [1, 2, 4, 10])
def test_the_interval_covers_the_median_best_whatever_the_distribution(k):
    rng, n, hits = np.random.default_rng(2), 25, 0
    true = 0.5 ** (1 / k)
    for _ in range(1500):
        skewed = rng.random(n) ** 8  # the quantiles are powers of the uniform ones
        low, high = median_interval(skewed, k)
        hits += low <= true**8 <= high
    assert hits / 1500 >= 0.95 - 0.01
    assert math.isinf(median_interval(range(n), 10)[1]), "25 trials cannot tell"


def search(accuracy, trials=25):
    frame = runs(accuracy, optimizer=("sgd",), seed=(0,), lr=np.geomspace(1e-3, 1, trials))
    return prepare(frame.assign(trial=list(range(trials)) * 2))


def test_the_table_and_its_direction():
    frame = search(lambda w: 0.5 + 0.4 * (w["lr"] > 0.1) - 0.1 * (w["rule"] == "hybrid"))
    data = tuning_data(frame).set_index(["rule", "k"])
    assert data.loc[("additive", 25), "expected"] == pytest.approx(0.9)
    assert data.loc[("additive", 1), "expected"] == pytest.approx(0.5 + 0.4 * 8 / 25)
    lower = prepare(with_metric(frame, "mse", lambda acc: 1 - acc))
    turned = tuning_data(lower).set_index(["rule", "k"])
    assert np.allclose(turned["expected"], 1 - data["expected"])
    assert np.allclose(turned["high"], 1 - data["low"])
    (first, second) = tuning(lower).rows
    assert first.cells[-1].text.startswith("0.1000 [ … 0.")
    assert [row.cells[-1].bold for row in (first, second)] == [True, False]


def test_trials_that_were_run_again_do_not_count_twice():
    frame = search(lambda w: w["lr"])
    again = pd.concat([frame, frame[frame["lr"] > 0.5].assign(seed=1)])
    assert tuning_data(again).equals(tuning_data(frame))


def test_the_share_of_each_hyperparameter():
    x = np.random.default_rng(3).random((400, 3))
    shares, known = main_effects(x, 3 * x[:, 0] + x[:, 1])
    # The variances are 9 to 1 to 0.
    assert shares == pytest.approx([0.9, 0.1, 0.0], abs=0.03)
    assert known > 0.9
    # Of a product of centred numbers nothing is anyone's own.
    shares, _ = main_effects(x, (x[:, 0] - 0.5) * (x[:, 1] - 0.5))
    assert shares.sum() < 0.2
    _, known = main_effects(x, np.random.default_rng(4).random(400))
    assert known < 0.1, "of noise the forest knows nothing"


def test_importance_shows_arms_that_have_something_to_tell():
    frame = search(lambda w: 0.9 - abs(math.log10(w["lr"]) + 1) / 10)
    frame["rule.gamma"] = np.where(
        frame["rule"] == "hybrid", np.random.default_rng(5).random(50), np.nan
    )
    table = importance(frame)
    assert [row.tags["rule"] for row in table.rows] == ["hybrid"]
    assert table.data["learning rate"].iloc[0] > 0.8


def test_matplotlibs_settings_are_left_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    for name in ("style", "make", "toy.starts"):
        importlib.reload(importlib.import_module(f"gofau.report.{name}"))
    assert dict(mpl.rcParams) == before
