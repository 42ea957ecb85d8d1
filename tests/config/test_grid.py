"""The grid of a sweep is what a multirun of the same words does."""

import pytest

from gofau.config.grid import grid
from gofau.runs import folder_name
from tests.command_line import ROOT

CONFIGS = ROOT / "configs"


def test_the_grid_is_what_the_multirun_ran(train):
    words = ["debug=fast", "model=mlp", "rule=additive,hybrid", "seed=0,1", "optimizer.lr=0.1,0.2"]
    assert train("-m", *words)[0] == 0
    cells = list(grid(CONFIGS, words))
    assert sorted(folder_name(c) for _, c in cells) == [f.name for f in train.runs()]
    assert cells[0][0] == {
        "rule": "additive",
        "seed": "0",
        "optimizer.lr": "0.1",
    }
    assert len(cells) == 8


def test_an_experiment_brings_its_own_grid_and_typed_words_replace_it():
    name = "experiment=smoke_fig3_cifar100_curves"
    assert len(list(grid(CONFIGS, [name]))) == 5 * 5 * 5
    cells = list(grid(CONFIGS, [name, "seed=7", "rule=hybrid,additive"]))
    assert len(cells) == 5 * 2
    assert {config["seed"] for _, config in cells} == {7}
    assert {config["rule"]["name"] for _, config in cells} == {"additive", "hybrid"}


def test_what_an_experiment_fixes_in_its_grid_is_fixed():
    words = ["optimizer=adam", "rule=hybrid,power", "rule.eta_out=0.3", "seed=0"]
    cells = list(grid(CONFIGS, ["experiment=smoke_tab3_cifar10_lr", "init=default", *words]))
    assert [c["optimizer"]["lr"] for _, c in cells][::2] == [0.0001, 0.001, 0.01, 0.1, 1, 10]
    assert [c["rule"]["name"] for _, c in cells] == ["hybrid", "power"] * 6
    assert {(c["rule"]["eta_out"], c["model"]["name"]) for _, c in cells} == {(0.3, "mlp")}


def test_a_grid_of_one():
    ((cell, config),) = grid(CONFIGS, ["optimizer.lr=0.5"])
    assert cell == {}
    assert config["optimizer"]["lr"] == pytest.approx(0.5)
