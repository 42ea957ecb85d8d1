"""A run that was stopped anywhere and went on is the run that was not, to the bit."""

import numpy as np
import pytest
import torch

from gofau.engine.checkpoint import load, random_state, save, set_random_state
from tests.data.fashion import write
from tests.session.resuming import check, configuration

BASES = ("sgd", "adagrad", "rmsprop", "adam", "adamw")
RULES = ("additive", "multiplicative", "hybrid", "exponential")
SHORT = [
    *("trainer.epochs=3", "dataset.train_size=90", "trainer.batch_size=32", "model=mlp"),
    "model.hidden=[16]",
]


@pytest.fixture
def config():
    return lambda *words: configuration(*SHORT, *words)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("base", BASES)
def test_every_base_and_rule_in_the_middle_of_an_epoch(tmp_path, config, monkeypatch, base, rule):
    monkeypatch.setattr(
        "gofau.optim.execution.native.compiler.find", lambda: None
    )  # its kernels are tested below
    check(tmp_path, config(f"optimizer={base}", f"rule={rule}", "scheduler=cosine"), 5)


@pytest.mark.parametrize("scheduler", ["constant", "cosine", "step", "one_cycle"])
@pytest.mark.parametrize("step", [1, 3, 8])
def test_every_schedule_at_the_start_the_end_and_the_middle(tmp_path, config, scheduler, step):
    check(tmp_path, config(f"scheduler={scheduler}"), step)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_network_with_batch_norm_in_either_precision(tmp_path, config, precision):
    words = [word for word in SHORT if not word.startswith("model")]
    words += ["model=small_cnn", "model.width=8", "dataset.augment.crop=1"]
    words += [f"trainer.precision={precision}"]
    check(tmp_path, configuration(*words), 4)


def test_an_autoencoder_on_pixels_without_labels(tmp_path, config, monkeypatch):
    """The metric is the loss, so there is one sum per batch and no count of right answers."""
    monkeypatch.setenv("GOFAU_DATA", str(write(tmp_path / "files")))
    words = ["problem=fashion_autoencoder", "trainer.epochs=3", "trainer.batch_size=16"]
    words += ["model.hidden=[32]", "dataset.augment.crop=2", "optimizer=adam", "rule=hybrid"]
    check(tmp_path, configuration(*words), 5)  # of 4 batches per epoch


def test_dropout_draws_the_same_numbers(tmp_path, config, monkeypatch):
    import gofau.session.build as module

    make = module.make

    def with_dropout(section, *args, **more):
        model = make(section, *args, **more)
        return torch.nn.Sequential(torch.nn.Dropout(0.2), model) if section == "model" else model

    monkeypatch.setattr(module, "make", with_dropout)
    check(tmp_path, config("init=default"), 5)


def test_numpy_and_python_generators_go_on_as_well(tmp_path):
    import random

    state = random_state()
    drawn = random.random(), np.random.rand(), torch.rand(1)  # noqa: NPY002
    save(tmp_path, "x", 1, {"r": state})
    again = load(tmp_path, "x")
    assert again is not None
    set_random_state(again["r"])
    assert (random.random(), np.random.rand(), torch.rand(1)) == drawn  # noqa: NPY002
