"""``python -m gofau.measure`` as a user types it: what it writes, and mistakes in one sentence."""

import csv
import gzip
import math
from functools import partial
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from gofau.config.grid import grid
from gofau.measure import descent
from gofau.measure.__main__ import main
from gofau.optim.log_weights import layer_weights, log_moments
from gofau.session.build import build
from tests.command_line import ROOT
from tests.toy_command_line import outcome

RULES = ["additive", "multiplicative"]
NAMES = ["descent", "weight_distribution"]
SMALL = ["trainer.epochs=2", "dataset.train_size=100", "model.width=4", "trainer.compile=false"]
ONE = [*SMALL, "seed=0", "optimizer=sgd"]
FEW = ["experiment=descent", *ONE, "measure.sizes=[1e-3,0.1]"]


@pytest.fixture
def measured(tmp_path, monkeypatch, capsys):
    """Runs the command in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    # Compiling a kernel takes longer than these trainings.
    monkeypatch.setattr("gofau.session.build.compiler.find", lambda: None)
    monkeypatch.setenv("GOFAU_NATIVE", "0")  # for processes that it starts

    def call(*words):
        return outcome(partial(main, [*words]), capsys, "python -m gofau.measure")

    return call


def rows(path: Path) -> list[dict[str, str]]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return list(csv.DictReader(text.splitlines()))


def test_steps_of_both_rules_at_equal_sizes(measured, tmp_path):
    code, out, err = measured(*FEW)
    assert (code, err) == (0, "")
    folder = tmp_path / "results/descent"
    assert {path.name for path in folder.iterdir()} == {"trainings.csv", "steps.csv.gz"}
    assert [path.name for path in tmp_path.iterdir()] == ["results"]  # and nothing else anywhere
    assert "2 of 2: sgd, multiplicative, seed 0: val/acc" in out
    steps = rows(folder / "steps.csv.gz")
    # rules × moments × losses × directions × scalings × sizes
    assert len(steps) == 2 * 3 * 2 * 2 * 2 * 2
    assert {row["epoch"] for row in steps} == {"0", "1", "2"}
    for row in steps:
        ratio = float(row["measured"]) / float(row["predicted"])
        assert ratio == pytest.approx(1, abs=0.05) or float(row["size"]) > 1e-3
    at_start = [row for row in steps if row["epoch"] == "0"]
    for key in ("value", "predicted", "measured"):  # both trainings start from the same weights
        of = {rule: [r[key] for r in at_start if r["rule"] == rule] for rule in RULES}
        assert of["additive"] == of["multiplicative"]
    again = (folder / "steps.csv.gz").read_bytes()
    measured(*FEW)
    assert again == (folder / "steps.csv.gz").read_bytes()


def test_a_training_is_told_with_its_provenance(measured, tmp_path):
    measured(*FEW, "measure.moments=[0]")
    first, second = rows(tmp_path / "results/descent/trainings.csv")
    assert (first["rule"], second["rule"]) == ("additive", "multiplicative")
    assert first["identity"] != second["identity"]
    assert first["epochs"] == "2"
    assert first["steps"] == "4"
    for name in ("commit", "command", "cpu", "versions.torch"):
        assert f"provenance.{name}" in first


def test_measuring_does_not_change_the_training(measured, monkeypatch):
    """The weights, and the optimizer's state, of a training that is measured at each epoch."""
    points = list(grid(ROOT / "configs", [*FEW, "rule=multiplicative"]))
    (config,) = (config for _, config in points)
    ends = []
    for watched in (False, True):
        built = build(config)
        for _ in range(2):
            if watched:
                descent.measure(built, config)
            built.trainer.run_epoch()
        state = built.trainer.state_dict()
        ends.append((state["model"], str(state["optimizer"])))
    assert all(torch.equal(ends[0][0][name], w) for name, w in ends[1][0].items())
    assert ends[0][1] == ends[1][1]


def test_the_distribution_before_and_after(measured, tmp_path):
    code, _, err = measured("experiment=weight_distribution", *ONE)
    assert (code, err) == (0, "")
    folder = tmp_path / "results/weight_distribution"
    moments, histogram = rows(folder / "moments.csv"), rows(folder / "histogram.csv.gz")
    assert len(moments) == 4 * 2 * (1 + 4)  # rules × moments × (all, and each layer)
    (before, *_) = (row for row in moments if row["layer"] == "all")
    points = grid(ROOT / "configs", ["experiment=weight_distribution", *ONE, "rule=additive"])
    (model,) = (build(config).trainer.model for _, config in points)
    expected = log_moments(list(layer_weights(model).values()))._asdict()
    for key, value in expected.items():
        assert float(before[key]) == pytest.approx(value, rel=1e-5)
    for rule in ("additive", "exponential"):
        for epoch in ("0", "2"):
            mine = [r for r in histogram if (r["rule"], r["epoch"]) == (rule, epoch)]
            assert sum(float(r["share"]) for r in mine) == pytest.approx(1, abs=1e-4)
            mean = sum(float(r["share"]) * (float(r["low"]) + float(r["high"])) / 2 for r in mine)
            of_all = (r for r in moments if r["layer"] == "all")
            (row,) = (r for r in of_all if (r["rule"], r["epoch"]) == (rule, epoch))
            # From bins of an eighth of a factor of ten: log10 against ln.
            assert mean * math.log(10) == pytest.approx(float(row["mean"]), abs=0.05)


def test_the_gain_of_the_multiplicative_step_is_the_tuned_one():
    section = OmegaConf.load(ROOT / "configs/experiment/descent.yaml")
    for optimizer, value in section.measure.eta_in.items():
        tuned = OmegaConf.load(ROOT / f"configs/tuned/{optimizer}-multiplicative.yaml")
        assert value == tuned.rule.eta_in


@pytest.mark.long
def test_the_number_of_processes_does_not_change_the_result(measured, tmp_path, monkeypatch):
    code, _, err = measured(*FEW)
    assert (code, err) == (0, "")
    one = (tmp_path / "results/descent/steps.csv.gz").read_bytes()
    monkeypatch.setenv("GOFAU_JOBS", "2")
    code, _, _ = measured(*FEW)
    assert code == 0
    assert (tmp_path / "results/descent/steps.csv.gz").read_bytes() == one


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "usage: python -m gofau.measure experiment=NAME"),
        (["--help"], "usage: python -m gofau.measure experiment=NAME"),
        (["experiment=descnt"], "Did you mean 'descent'?"),
        (["seed=0"], "give an experiment with a section `measure`"),
        (["measure.task=descend"], "Did you mean 'descent'?"),
        (["measure.moments=[0,2]"], "measure.moments must be a list of rising numbers from 0"),
        (["measure.moments=[]"], "measure.moments must be a list of rising numbers from 0"),
        (["measure.sizes=[0.1,-1]"], "measure.sizes must be a list of rising numbers > 0"),
        (["measure.sizes=[0.1,0.01]"], "measure.sizes must be a list of rising numbers > 0"),
        (["measure.sizes=null"], "measure.sizes is needed"),
        (["measure.name=../up"], "measure.name must be a name for a folder"),
        (["measure.eta_in.sgd=0"], "measure.eta_in must be numbers > 0 by optimizer"),
        (["+measure.size=[1]"], "Did you mean 'sizes'?"),
        (["measure.task=weights"], "measure.sizes: task=weights has no such key"),
        (["optimizer=rmsprop"], "measure.eta_in has no value for optimizer=rmsprop"),
        (["init=normal,orthogonal"], "init is swept, but only optimizer, rule, seed may be"),
    ],
)
def test_what_is_typed_wrong_ends_in_one_sentence(measured, tmp_path, words, sentence):
    typed = {key.partition("=")[0] for key in words} & {"--help", "experiment", "seed"}
    first = [] if typed or not words else ["experiment=descent", "seed=0", "rule=additive"]
    code, out, err = measured(*first, *words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_has_seeds_enough_and_names_its_folder(name):
    points = list(grid(ROOT / "configs", [f"experiment={name}"]))
    assert {config["measure"]["name"] for _, config in points} == {name}
    assert len({config["seed"] for _, config in points}) >= 5
