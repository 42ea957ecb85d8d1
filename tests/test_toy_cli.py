"""Every experiment in two variables composes and leaves its tables; mistakes end in a sentence."""

import csv
import gzip
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from gofau.toy.settings import cases, check, starts
from tests.cli import ROOT

EXPERIMENTS = sorted(path.stem for path in (ROOT / "configs/experiment").glob("*toy*.yaml"))


@pytest.mark.parametrize("root", ["toy", "train"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes_and_can_begin(name, root):
    toy = composed(f"experiment={name}", root=root)
    check(toy)
    assert toy["name"] == name
    assert len(cases(toy)) >= 1
    for case in cases(toy):
        assert case.default_lr in case.lrs
        assert starts(toy, case.problem).shape[1] == 2


def composed(*words, root="toy"):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        toy: dict[str, Any] = OmegaConf.to_container(compose(root, list(words)).toy)  # type: ignore[assignment]
        return toy


def test_each_experiment_has_a_smoke_twin():
    whole = {name for name in EXPERIMENTS if not name.startswith("smoke_")}
    assert {"fig1_toy_paths", "fig2_toy_starts", "tab1_toy"} <= whole
    assert {f"smoke_{name}" for name in whole} == set(EXPERIMENTS) - whole


FILES = {
    "smoke_fig1_toy_paths": {"cells.csv", "paths.csv.gz", "surface.csv.gz"},
    "smoke_fig2_toy_starts": {"cells.csv", "starts_bowl.csv.gz", "starts_rosenbrock.csv.gz"},
    "smoke_tab1_toy": {"cells.csv"},
}


@pytest.mark.parametrize("name", FILES)
def test_an_experiment_leaves_its_tables(toy, tmp_path, name):
    code, out, err = toy(f"experiment={name}", "toy.steps=40")
    assert (code, err) == (0, "")
    folder = tmp_path / "results" / name
    assert {path.name for path in folder.iterdir()} == FILES[name]
    assert [path.name for path in tmp_path.iterdir()] == ["results"]  # and nothing else anywhere
    assert str(folder.relative_to(tmp_path)) in out
    cells = list(csv.DictReader((folder / "cells.csv").read_text().splitlines()))
    assert all(cell["provenance.command"].startswith("python -m gofau.toy") for cell in cells)
    rules = {(cell["problem"], cell["optimizer"], cell["rule"]) for cell in cells}
    for what in rules:
        mine = [c for c in cells if (c["problem"], c["optimizer"], c["rule"]) == what]
        for mark in ("best", "default"):
            assert sum(cell[mark] == "True" for cell in mine) == 1
        (best,) = (cell for cell in mine if cell["best"] == "True")
        assert float(best["score"]) == min(float(cell["score"]) for cell in mine)
    packed = {p.name: p.read_bytes() for p in folder.glob("*.gz")}
    toy(f"experiment={name}", "toy.steps=40")
    assert packed == {p.name: p.read_bytes() for p in folder.glob("*.gz")}
    for data in packed.values():
        assert len(gzip.decompress(data).splitlines()) > 100


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["toy.cases=[bowll/sgd]"], "no problem 'bowll' (there is: bowl, "),
        (["toy.cases=[bowl/sdg]"], "Did you mean 'sgd'?"),
        (["toy.cases=[bowl]"], "toy.cases must be a list, each problem/optimizer"),
        (["toy.cases=[]"], "there is nothing to do"),
        (["toy.task=path"], "Did you mean 'paths'?"),
        (["toy.steps=0"], "toy.steps must be a whole number ≥ 1, got 0"),
        (["toy.lrs=[-1]"], "toy.lrs must be a list, each a number > 0"),
        (["toy.name=../up"], "toy.name must be a name for a folder"),
        (["toy.starts={rosenbrock: [[1, 2]]}"], "have a list of pairs for bowl"),
        (["toy.starts={bowl: [[1]]}"], "have a list of pairs for bowl"),
        (["toy.rules.hybrid.alpha=2"], "alpha must be in [0, 1], got 2"),
        (["+toy.optimizers.sgd.betas=[0.9,0.99]"], "betas"),
        (["+toy.rules.hybird={}"], "Did you mean 'hybrid'?"),
        (["toy.stepz=3"], "Did you mean 'steps'?"),
        (["experiment=fig2_toy_start"], "Did you mean 'fig2_toy_starts'?"),
    ],
)
def test_what_is_typed_wrong_ends_in_one_sentence(toy, tmp_path, words, sentence):
    code, out, err = toy(*words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
