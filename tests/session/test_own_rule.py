"""An optimizer that is a rule of its own, from the command line to the record."""

import copy

import pytest
import torch
from hydra import compose, initialize_config_dir

from gofau.config.hydras import BASE
from gofau.config.schema import settle
from gofau.optim.execution.native import compiler
from gofau.session.build import build
from tests.command_line import ROOT

SHORT = ["trainer.epochs=2", "dataset.train_size=200", "model=mlp", "model.hidden=[16]"]


def test_a_run_says_that_the_rule_is_the_optimizers_own(train):
    code, _, err = train("optimizer=integer_madam", *SHORT, "trainer.diagnostics_every=3")
    assert (code, err) == (0, "")
    (run,) = train.runs()
    assert run.name.startswith("digits-mlp-integer_madam-own-s0-")
    status = train.status(run)
    assert status["state"] == "done"
    # Biases begin at random in this model, so that nothing is zero at the start.
    assert status["rules"] == {"integer": {"tensors": 4, "elements": status["parameters"]}}
    assert (run / "diagnostics.csv").exists()


def test_it_is_one_run_whatever_rule_a_sweep_combines_it_with(train):
    words = ["-m", "optimizer=integer_madam", "rule=additive,hybrid", *SHORT]
    assert train(*words)[0] == 0
    assert len(train.runs()) == 1
    assert "own" in train.runs()[0].name


def test_the_rate_is_lr_there_too(train):
    assert train("optimizer=integer_madam", *SHORT, "optimizer.lr=32", "scheduler=constant")[0] == 0
    (run,) = train.runs()
    assert [row["lr"] for row in train.rows(run)] == ["32.0", "32.0"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["optimizer=integer_madam", "optimizer.levels=1"], "levels must be a whole number in"),
        (["optimizer=madam", "optimizer.p_scale=0"], "optimizer.p_scale must be > 0 and finite"),
        (["optimizer=integer_madam", "optimizer.lr=0.1"], "lr_factor must be ≥ min_lr_factor"),
        (["optimizer=adam", "rule.name=own"], "rule.name must be one of additive"),
    ],
)
def test_what_does_not_fit_is_one_sentence(train, words, sentence):
    code, _, err = train(*words, *SHORT)
    assert code == 2
    assert err.count("\n") == 1
    assert sentence in err


@pytest.mark.parametrize("optimizer", ["madam", "fromage", "nero"])
def test_the_others_learn_on_the_fast_path_and_say_what_went_where(train, optimizer):
    words = [
        f"optimizer={optimizer}",
        "rule=power",
        *SHORT,
        "trainer.epochs=10",
        "optimizer.lr=0.05",
    ]
    assert train(*words)[0] == 0
    (run,) = train.runs()
    assert run.name.startswith(f"digits-mlp-{optimizer}-own-s0-")
    status = train.status(run)
    assert status["result"]["val/acc"] > 0.5
    assert sum(x["elements"] for x in status["rules"].values()) == status["parameters"]
    with initialize_config_dir(str(ROOT / "configs"), **BASE):
        built = build(settle(compose("train", [f"optimizer={optimizer}", *SHORT])))
    fast = True if compiler.find() is not None else None
    assert [group["fused"] for group in built.optimizer.param_groups] == [fast]


@pytest.mark.parametrize("optimizer", ["integer_madam", "madam", "fromage", "nero"])
def test_going_on_from_a_checkpoint_is_exact(optimizer):
    with initialize_config_dir(str(ROOT / "configs"), **BASE):
        config = settle(compose("train", [f"optimizer={optimizer}", *SHORT]))
    trainer, resumed = build(config).trainer, build(config).trainer
    trainer.run_epoch()
    resumed.load_state_dict(copy.deepcopy(trainer.state_dict()))  # torch would share the tensors
    trainer.run_epoch()
    resumed.run_epoch()
    pairs = zip(trainer.model.parameters(), resumed.model.parameters(), strict=True)
    assert all(torch.equal(p, q) for p, q in pairs)
