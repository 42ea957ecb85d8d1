"""The replication of a verdict: which arms it trains, and what it says."""

import importlib
from dataclasses import replace
from subprocess import CompletedProcess

import pytest

from gofau.config.grid import grid
from gofau.report.cells import prepare
from gofau.report.effects import effects_of
from gofau.report.records import Records
from tests.command_line import ROOT
from tests.report.records import runs


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("replicate")


def test_every_committed_verdict_can_be_replicated_with_seeds_of_its_own(script):
    rows = script.decided()
    assert rows
    of_each = {(row["dataset"], row["model"]): row for row in rows}
    assert len(of_each) > 3
    for row in of_each.values():
        ours, theirs = script.sweeps(row)
        for words, arm in ((ours, row["optimizer"]), (theirs, row["against"])):
            composed = list(grid(ROOT / "configs", ["experiment=replication", *words]))
            assert [config["seed"] for _, config in composed] == [*range(101, 111)]
            assert {config["optimizer"]["name"] for _, config in composed} == {arm.split("+")[0]}
            for part in ("model", "dataset"):
                name, *settings = row[part].split()
                assert {config[part]["name"] for _, config in composed} == {name}
                for key, value in (word.split("=") for word in settings):
                    assert {str(config[part][key]) for _, config in composed} == {value}


def test_a_rival_with_a_step_size_or_a_post_step_is_told_by_its_name(script):
    row = {"dataset": "digits", "model": "small_cnn", "against": "adam"}
    found = script.sweeps(row | {"optimizer": "adamw+trust_ratio", "rule": "additive"})
    assert next(found)[1:] == ["optimizer=adamw", "rule=additive", "stepsize=trust_ratio"]
    found = script.sweeps(row | {"optimizer": "sgd+ham", "rule": "additive"})
    assert next(found)[1:] == ["optimizer=sgd", "rule=additive", "post_step=ham"]
    found = script.sweeps(row | {"optimizer": "nero", "rule": "own"})
    assert next(found)[1:] == ["optimizer=nero"], "it has a rule of its own"


def test_a_mistake_ends_it_before_anything_is_written(script, monkeypatch):
    """Data that are not there, for example: train.py has said so, with exit code 2."""
    monkeypatch.setattr(script.problems.subprocess, "run", lambda *_, **__: CompletedProcess([], 2))
    monkeypatch.setattr(script.problems, "update", lambda *_: pytest.fail("it has written records"))
    with pytest.raises(SystemExit) as end:
        script.carry_out(script.decided()[0], [])
    assert end.value.code == 2


def test_it_says_nothing_of_a_verdict_whose_runs_are_not_all_there(script, monkeypatch):
    made = runs(lambda w: 0.9, optimizer=("sgd",), rule=("additive", "hybrid"))
    made.loc[made.index[-1], "state"] = "pending"
    monkeypatch.setattr(script, "sweeps", lambda row: [[]])
    monkeypatch.setattr(script.problems, "carry_out", lambda *_, **__: Records([]))
    monkeypatch.setattr(script, "frames", lambda _: [made])
    with pytest.raises(SystemExit, match="not all runs are finished"):
        script.carry_out({}, [])


def test_it_says_whether_the_new_mean_lies_in_the_interval_of_the_verdict(script):
    made = runs(lambda w: 0.9 + 0.01 * (w["rule"] == "hybrid"), optimizer=("sgd",))
    (effect,) = effects_of(prepare(made))
    row = {"verdict": "supported", "mean": 0.02, "low_holm": 0.005, "high_holm": 0.035}
    said = script.sentence(row, effect)
    assert said.startswith("verdict: supported, +2.00 (+0.50 … +3.50); 5 fresh seeds: +1.00")
    assert said.endswith(": inside its interval")
    worse = replace(effect, comparison=replace(effect.comparison, mean=0.004))
    assert script.sentence(row, worse).endswith(": outside its interval")
