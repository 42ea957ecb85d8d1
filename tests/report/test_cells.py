"""What a run's cell is and what its outcome is."""

import math

import numpy as np
import pandas as pd
import pytest

from gofau.report.cells import counts, in_order, prepare, read, rules, varying
from gofau.report.pairs import differences
from tests.report.records import runs, with_metric


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
    assert counts(frame) == (18, 2, 0, 2)


def test_a_run_that_is_no_better_than_a_guess_at_the_end_is_dead():
    values = {0: 36 / 359, 1: 46 / 359, 2: 48 / 359, 3: 0.9, 4: None}
    frame = prepare(runs(lambda w: values[w["seed"]], rule=("additive",), optimizer=("sgd",)))
    # 359 images: 0.1 + 2·√(0.09 / 359) = 0.1317, which is 47.3 of them.
    assert frame["images"].tolist() == pytest.approx([3590] * 5)
    assert frame["dead"].tolist() == [True, False, False, False, False]
    values[3] = 323 / 359
    frame = prepare(runs(lambda w: values[w["seed"]], rule=("additive",), optimizer=("sgd",)))
    assert set(frame["images"]) == {359}
    assert frame["dead"].tolist() == [True, True, False, False, False]
    assert counts(frame) == (5, 1, 2, 0)


def test_lower_is_better_and_a_diverged_run_is_as_bad_as_the_worst_of_its_problem():
    found = runs(outcome, seed=(0, 1))
    frame = with_metric(found, "mse", lambda acc: 1 - acc + 0.01 * (found["seed"] + 1))
    frame = prepare(frame)
    assert set(frame["metric"]) == {"mse"}
    assert not frame["higher"].any()
    finished = frame[frame["state"] == "done"]
    assert set(frame.loc[frame["state"] == "diverged", "outcome"]) == {finished["test/mse"].max()}
    assert not frame["dead"].any()
    assert frame["images"].isna().all()
    told = frame.assign(**{"metric.chance": 0.7})
    assert set(prepare(told).loc[frame["state"] == "diverged", "outcome"]) == {0.7}


def test_a_rule_with_clipped_gradients_is_compared_in_the_same_cell():
    plain = runs(lambda w: 0.9).assign(**{"trainer.name": "default", "trainer.clip_norm": math.nan})
    clipped = runs(lambda w: 0.92, rule=("additive",)).assign(
        **{"trainer.name": "default", "trainer.clip_norm": 1.0}
    )
    frame = prepare(pd.concat([plain, clipped], ignore_index=True))
    assert rules(frame) == ["additive", "hybrid", "additive, clipped at 1"]
    assert frame["cell"].nunique() == 2
    found = differences(frame, "additive, clipped at 1")["difference"]
    assert found.tolist() == pytest.approx([0.02] * 10)
    alone = prepare(clipped)
    assert rules(alone) == ["additive"], "a setting of all runs is no rule"


def test_a_rule_that_was_not_run_is_all_missing():
    d = differences(prepare(runs(outcome)), "exponential")
    assert len(d) == 2 * 5
    assert d["difference"].isna().all()


def test_labels_name_what_varies_within_a_name():
    frame = prepare(runs(lambda w: 0.5, init=("default", "normal"), scale=(1.0, 5.0)))
    assert in_order(frame["init"]) == ["default ×1", "default ×5", "normal ×1", "normal ×5"]
    assert varying(frame) == ["init", "optimizer"]
    frame = runs(lambda w: 0.5, rule=("hybrid", "additive"), seed=(0, 1, 2))
    frame.loc[frame["rule.name"] == "hybrid", "rule.gamma"] = [0.2, 0.5, 0.8] * 2
    assert rules(prepare(frame)) == [
        "additive", "hybrid gamma=0.2", "hybrid gamma=0.5", "hybrid gamma=0.8",
    ]  # fmt: skip


def test_runs_with_another_step_size_are_another_cell(tmp_path):
    """Read from a file: columns that the report does not need are not read."""
    frame = runs(lambda w: 0.5, optimizer=("adamw",), rule=("additive",))
    lamb = frame.assign(**{"stepsize.name": "trust_ratio", "identity": "lamb-" + frame["identity"]})
    both = pd.concat([frame.assign(**{"stepsize.name": "base"}), lamb]).assign(steps=100)
    both.to_csv(tmp_path / "runs.csv", index=False)
    found = read(tmp_path)
    assert varying(found) == ["stepsize"]
    assert found["cell"].nunique() == 2
    assert "steps" not in found


def test_a_post_step_is_an_axis_and_earlier_runs_have_none():
    frame = runs(lambda w: 0.5, rule=("additive",), optimizer=("sgd",), seed=range(6))
    assert set(prepare(frame)["post_step"]) == {"none"}
    frame["post_step.name"] = [None, None, "ham", "ham", "ham", "ham"]
    frame["post_step.ham_alpha"] = [None, None, 20.0, 20.0, 200.0, 200.0]
    cells = prepare(frame)
    assert varying(cells) == ["post_step"]
    names = ["none", "ham ham_alpha=20", "ham ham_alpha=200"]
    assert in_order(cells["post_step"]) == names
    assert cells["cell"].nunique() == 3


def test_a_learning_rate_of_each_optimizers_own_is_no_axis():
    frame = runs(lambda w: 0.5)
    frame["optimizer.lr"] = [0.1 if name == "sgd" else 0.001 for name in frame["optimizer.name"]]
    assert varying(prepare(frame)) == ["optimizer"]
    frame.loc[frame["rule.name"] == "hybrid", "optimizer.lr"] *= 3
    frame.loc[frame["rule.name"] == "hybrid", "rule.gamma"] = frame["optimizer.lr"]
    assert varying(prepare(frame)) == ["optimizer"]
    assert rules(prepare(frame)) == ["additive", "hybrid"]
    assert np.allclose(differences(prepare(frame), "hybrid")["difference"], 0), "at its own default"
    assert varying(prepare(runs(lambda w: 0.5, lr=(0.1, 0.01)))) == ["optimizer", "lr"]


def test_the_number_of_epochs_is_an_axis_where_it_varies():
    frame = prepare(runs(lambda w: 0.5, epochs=(2, 4)))
    assert varying(frame) == ["optimizer", "horizon"]
    assert in_order(frame["horizon"]) == [2, 4]
    assert set(frame["trainer"]) == {""}
    assert set(prepare(runs(lambda w: 0.5, epochs=(2,)))["horizon"]) == {"default"}


def test_the_step_size_of_the_records_is_read(tmp_path):
    """Its column begins as "steps" does, which is not read."""
    frame = runs(lambda w: 0.9, rule=("additive",), optimizer=("adamw",))
    both = [frame.assign(**{"stepsize.name": name, "steps": 9}) for name in ("base", "trust_ratio")]
    pd.concat(both).to_csv(tmp_path / "runs.csv", index=False)
    found = read(tmp_path)
    assert found["stepsize"].tolist() == ["base"] * 5 + ["trust_ratio"] * 5
    assert found["cell"].nunique() == 2
