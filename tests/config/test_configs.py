"""Every yaml composes, and every combination of groups that makes sense can be built and steps."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from gofau.config.schema import CHECKS, settle
from gofau.data import ImageData, Images
from gofau.runs import SECTIONS, identity, science
from gofau.session import build
from tests.command_line import ROOT

CONFIGS = ROOT / "configs"
GROUPS = {
    group.name: sorted(p.stem for p in group.glob("*.yaml"))
    for group in CONFIGS.iterdir()
    if group.is_dir() and group.name != "hydra"  # Hydra's own groups, its launchers
}
EVERY = [(group, name) for group, names in sorted(GROUPS.items()) for name in names]


@pytest.fixture(scope="module")
def config():
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        yield lambda *overrides: settle(compose("train", [*map(str, overrides)]))


@pytest.fixture
def fake_data(monkeypatch):
    """Noise in the shape of a dataset in place of reading it."""

    def read(section, keys, *args, **more):
        if section != "dataset":
            return make(section, keys, *args, **more)
        side, classes = shapes[keys["name"]]
        rng = np.random.default_rng(0)
        labels = np.arange(2 * classes) % classes
        channels = 1 if keys["name"] == "digits" else 3
        pixels = rng.integers(0, 256, (len(labels), side, side, channels), dtype=np.uint8)
        images = Images(pixels, labels)
        return ImageData(keys["name"], tuple(map(str, range(classes))), images, images)

    make = build.make
    shapes = {"digits": (8, 10), "cifar10": (32, 10), "cifar10_jpeg": (32, 10)}
    shapes |= {"cifar100": (32, 100), "tiny_imagenet": (64, 200), "image_folder": (40, 3)}
    monkeypatch.setattr(build, "make", read)
    build._data.cache_clear()
    yield
    build._data.cache_clear()


def test_the_groups_are_the_documented_ones():
    documented = {"dataset", "model", "init", "optimizer", "rule", "stepsize", "scheduler", "tuned"}
    documented |= {"problem", "trainer", "logger", "paths", "toy", "experiment", "debug", "search"}
    assert set(GROUPS) | {"tuned"} == documented
    assert all(names for group, names in GROUPS.items() if group != "tuned")


@pytest.mark.parametrize(("group", "name"), EVERY)
def test_every_yaml_composes_and_settles(config, group, name):
    words = [f"{group}={name}"] + ["dataset.path=x"] * (
        (group, name) == ("dataset", "image_folder")
    )
    settled = config(*words)
    if group in SECTIONS and group != "trainer":
        assert settled[group]["name"] == name


def test_what_a_run_is_where_nothing_is_said(config):
    settled = config()
    names = {section: settled[section]["name"] for section in ("dataset", "model", "rule")}
    assert names == {"dataset": "digits", "model": "small_cnn", "rule": "hybrid"}
    assert settled["scheduler"]["name"] == "cosine"
    assert settled["trainer"]["epochs"] == 8
    assert settled["trainer"]["test"] is True
    assert settled["rule"]["eta_out"] is None  # η_out follows the learning rate
    assert not settled.get("search")


def test_every_check_belongs_to_a_key_that_exists(config):
    keys = set()
    for group, name in EVERY:
        words = [f"{group}={name}", *["dataset.path=x"] * (name == "image_folder")]
        keys |= set(_flat(config(*words)))
    assert set(CHECKS) <= keys


def _flat(config, prefix=""):
    for key, value in config.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")


@pytest.mark.parametrize("rule", GROUPS["rule"])
@pytest.mark.parametrize("optimizer", GROUPS["optimizer"])
def test_every_optimizer_with_every_rule_and_schedule(
    config, fake_data, monkeypatch, optimizer, rule
):
    # The kernels have tests of their own; compiling one for each of these would take minutes.
    monkeypatch.setattr("gofau.optim.execution.native.compiler.find", lambda: None)
    for scheduler in GROUPS["scheduler"]:
        words = [f"optimizer={optimizer}", f"rule={rule}", f"scheduler={scheduler}", "model=mlp"]
        trainer = build.build(config(*words, "trainer.epochs=2")).trainer
        trainer.run_epoch()
        assert trainer.step == 1


@pytest.mark.parametrize("dataset", GROUPS["dataset"])
@pytest.mark.parametrize("model", GROUPS["model"])
def test_every_model_on_every_dataset_it_can_take(config, fake_data, model, dataset):
    if model.startswith("vgg") and dataset == "digits":
        pytest.skip("VGG halves the image five times")
    more = ["dataset.path=x"] * (dataset == "image_folder")
    parts = build.build(config(f"model={model}", f"dataset={dataset}", *more))
    x, y = next(parts.trainer.train.epoch(0))
    with torch.no_grad():
        logits = parts.trainer.model.eval()(x[:2])
    assert logits.shape == (2, parts.facts["classes"])
    assert y.max() < parts.facts["classes"]


@pytest.mark.parametrize("init", GROUPS["init"])
def test_every_initialisation_on_every_kind_of_model(config, fake_data, init):
    for model in ("mlp", "small_cnn", "resnet8"):
        build.build(config(f"init={init}", f"model={model}"))


def test_the_identity_is_of_the_science_alone(config):
    fixed = ["trainer.precision=fp32", "optimizer.lr=0.1"]
    same = [
        config(*fixed, *words)
        for words in (
            [],
            ["paths.runs_dir=elsewhere", "paths.data_dir=/data", "paths.cache_dir=/scratch"],
            ["trainer.device=cuda:1", "trainer.threads=2", "trainer.progress=none"],
            ["trainer.compile=true", "trainer.device_data_limit=1", "hydra/launcher=joblib"],
            ["rerun=true", "logger=csv", "optimizer.lr=1e-1"],
        )
    ]
    assert len({identity(c) for c in same}) == 1
    words = ["seed=1", "optimizer.lr=0.2", "rule.gamma=0.25", "rule=additive", "optimizer=adam"]
    words += ["model=mlp", "init=orthogonal", "scheduler=constant", "trainer.epochs=3"]
    words += ["dataset.val_fraction=0.2", "dataset=cifar10", "dataset.augment.crop=1"]
    words += ["trainer.precision=bf16", "trainer.test=false", "rule.eta_out=0.1", "rule=power"]
    different = [identity(same[0])]
    different += [identity(config(*fixed, word)) for word in words]
    assert len(set(different)) == len(different)


def test_a_record_of_the_old_formulas_is_none_of_these(config, monkeypatch):
    now = identity(config())
    monkeypatch.setattr(sys.modules["gofau.runs.identity"], "SCIENCE", 1)
    assert identity(config()) != now


def test_the_same_archive_is_the_same_data_wherever_it_lies(config, tmp_path):
    one, other = (
        identity(config("dataset=image_folder", f"dataset.path={path}"))
        for path in ("pets.zip", "/elsewhere/pets.zip")
    )
    assert one == other != identity(config("dataset=image_folder", "dataset.path=dogs.zip"))


def test_a_subset_of_tiny_imagenet_is_another_run_than_the_whole(config, tmp_path):
    full, part = tmp_path / "full", tmp_path / "part"
    for folder, name in (
        (full, "tiny-imagenet-200.zip"),
        (part, "tiny-imagenet-200-subset150.zip"),
    ):
        folder.mkdir()
        (folder / name).write_bytes(b"")
    pinned = [
        config("dataset=tiny_imagenet", f"paths.data_dir={folder}")
        for folder in (full, part, tmp_path)
    ]
    archives = [science(c)["dataset"]["archive"] for c in pinned]
    assert archives == ["tiny-imagenet-200", "tiny-imagenet-200-subset150", "tiny-imagenet-200"]


def test_the_environment_says_where_the_data_is(config, monkeypatch):
    monkeypatch.setenv("GOFAU_DATA", "/somewhere")
    assert config()["dataset"]["data_dir"] == "/somewhere"
    assert config("paths.data_dir=there")["dataset"]["data_dir"] == "there"


def test_configs_open_with_their_command_line():
    """An experiment or debug config says first how it is typed."""
    for group in ("experiment", "debug"):
        for path in Path(CONFIGS / group).glob("*.yaml"):
            lines = path.read_text().splitlines()
            assert lines[0] == "# @package _global_", path
            assert f"{group}={path.stem}" in lines[1], path


# Those in two variables have tests of their own (test_toy_cli.py).
EXPERIMENTS = [name for name in GROUPS["experiment"] if "toy" not in name]
TWINS = [name for name in EXPERIMENTS if name.startswith("smoke_")]
REPORTED = [
    name
    for name in EXPERIMENTS
    if f"smoke_{name.split('_', 1)[-1]}" in TWINS or f"smoke_{name}" in TWINS
]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_told_in_a_readme(name):
    folder = "defaults" if name.startswith("defaults_") else name
    text = (ROOT / "experiments" / folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {folder}\n")
    assert f"experiment={name}" in text
    for heading in ("**Claim it touches.**", "**Command.**", "**Cost.**", "**How to read it.**"):
        assert heading in text


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_is_small_and_has_seeds_enough(config, name):
    settled = config(f"experiment={name}")
    assert name.removeprefix("smoke_") in EXPERIMENTS
    assert settled["dataset"]["name"] == "digits"
    assert settled["trainer"]["epochs"] <= 15
    whole = compose("train", [f"experiment={name}"], return_hydra_config=True)
    assert len(str(whole.hydra.sweeper.params["seed"]).split(",")) >= 5


def _grid(name):
    """The sweep of an experiment: its axes, each with its values."""
    whole = compose("train", [f"experiment={name}"], return_hydra_config=True)
    return {axis: str(words).split(",") for axis, words in whole.hydra.sweeper.params.items()}


@pytest.mark.parametrize("name", REPORTED)
def test_a_readme_says_how_many_runs_an_experiment_has(config, name):
    text = (ROOT / "experiments" / name / "README.md").read_text(encoding="utf-8")
    runs = math.prod(map(len, _grid(name).values()))
    epochs = config(f"experiment={name}")["trainer"]["epochs"]
    assert f"= {runs:,} runs of {epochs} epochs" in " ".join(text.split())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_is_compared_is_computed_with_the_same_number_of_threads(config, name):
    """It changes the last bits of a sum, and with them a result; so one run of a sweep that is
    typed again by itself gives what it gave in the sweep."""
    assert config(f"experiment={name}")["trainer"]["threads"] == 1
    assert "trainer.threads" not in _grid(name)


@pytest.mark.parametrize("name", ["local", "basic", "joblib", "slurm", "submitit_slurm"])
def test_every_launcher_composes(config, name):
    words = [f"hydra/launcher={name}", "hydra.mode=MULTIRUN"]
    launcher = compose("train", words, return_hydra_config=True).hydra.launcher
    assert launcher._target_.endswith("Launcher")
    if name == "slurm":  # else the first time limit, or a preemption near it, ends the sweep
        assert launcher.max_num_timeout > 0
        assert launcher.timeout_min >= 20
