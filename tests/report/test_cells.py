"""What a run's cell is and what its outcome is."""

import math

import numpy as np

from gofau.report.cells import counts, differences, in_order, prepare, rules, varying
from tests.report.records import runs


def outcome(what):
    if what["rule"] == "hybrid" and what["seed"] == 1:
        return None
    return math.nan if what["optimizer"] == "adam" and what["seed"] == 2 else 0.9


def test_diverged_counts_as_chance_and_missing_as_missing():
    frame = prepare(runs(outcome))
    lost = frame["state"] == "diverged"
    assert set(frame.loc[lost, "outcome"]) == {0.1}
    assert set(frame.loc[lost, "choice"]) == {0.1}
    assert frame.loc[frame["state"] == "pending", "outcome"].isna().all()
    assert counts(frame) == (10, 2, 2)


def test_differences_pair_cells_and_seeds():
    d = differences(prepare(runs(outcome)), "hybrid")
    assert d.shape == (2, 3)
    place = d.index.names.index("optimizer")
    by_optimizer = {key[place]: row for key, row in zip(d.index, d.to_numpy(), strict=True)}
    assert np.allclose(by_optimizer["sgd"], [0, -0.8, 0])
    assert np.allclose(by_optimizer["adam"], [0, -0.8, np.nan], equal_nan=True)


def test_a_rule_that_was_not_run_is_all_missing():
    d = differences(prepare(runs(outcome)), "exponential")
    assert d.shape == (2, 3)
    assert d.isna().to_numpy().all()


def test_labels_name_what_varies_within_a_name():
    frame = prepare(runs(lambda w: 0.5, init=("default", "normal"), scale=(1.0, 5.0)))
    assert in_order(frame["init"]) == ["default ×1", "default ×5", "normal ×1", "normal ×5"]
    assert varying(frame) == ["init", "optimizer"]
    frame = runs(lambda w: 0.5, rule=("hybrid", "additive"))
    frame.loc[frame["rule.name"] == "hybrid", "rule.gamma"] = [0.2, 0.5, 0.8] * 2
    assert rules(prepare(frame)) == [
        "additive", "hybrid gamma=0.2", "hybrid gamma=0.5", "hybrid gamma=0.8",
    ]  # fmt: skip


def test_a_learning_rate_of_each_optimizers_own_is_no_axis():
    frame = runs(lambda w: 0.5)
    frame["optimizer.lr"] = [0.1 if name == "sgd" else 0.001 for name in frame["optimizer.name"]]
    assert varying(prepare(frame)) == ["optimizer"]
    frame.loc[frame["rule.name"] == "hybrid", "optimizer.lr"] *= 3
    frame.loc[frame["rule.name"] == "hybrid", "rule.gamma"] = frame["optimizer.lr"]
    assert varying(prepare(frame)) == ["optimizer"]
    assert rules(prepare(frame)) == ["additive", "hybrid"]
    assert differences(prepare(frame), "hybrid").shape == (2, 3), "each at its own default"
    assert varying(prepare(runs(lambda w: 0.5, lr=(0.1, 0.01)))) == ["optimizer", "lr"]
