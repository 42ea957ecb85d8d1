"""Every yaml composes, and every combination of groups that makes sense can be built and steps."""

import inspect
import math
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_object
from omegaconf import OmegaConf, open_dict

from gofau.config.hydras import BASE
from gofau.config.keys import CHECKS
from gofau.config.schema import settle
from gofau.data import ImageData, Images
from gofau.data.digits_graph import digits_graph
from gofau.data.grammar import grammar
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
KINDS = {"image_classification", "reconstruction", "node_classification", "language_model"}
PAIRS = [("problem", name) for name in GROUPS["problem"] if name not in KINDS]
"""Problems that name a data set and a model; the kind of each is the name in its section."""


@pytest.fixture(scope="module")
def config():
    with initialize_config_dir(str(CONFIGS), **BASE):
        yield lambda *overrides: settle(compose("train", [*map(str, overrides)]))


@pytest.fixture
def fake_data(monkeypatch):
    """Noise in the shape of a dataset of images in place of reading it; any that is not known here
    is RGB of 32×32 and has 10 classes. A graph and a text are those that need no file."""

    def read(section, keys, *args, **more):
        if section != "dataset":
            return make(section, keys, *args, **more)
        if not of_images("dataset", keys["name"]):
            return grammar(2000) if "val_fraction" in keys else digits_graph()
        channels, side, classes = shapes.get(keys["name"], (3, 32, 10))
        rng = np.random.default_rng(0)
        labels = np.arange(2 * classes) % classes
        pixels = rng.integers(0, 256, (len(labels), side, side, channels), dtype=np.uint8)
        images = Images(pixels, labels)
        return ImageData(keys["name"], tuple(map(str, range(classes))), images, images)

    make = build.make
    shapes = {"digits": (1, 8, 10), "fashion_mnist": (1, 28, 10), "image_folder": (3, 40, 3)}
    shapes |= {"tiny_imagenet": (3, 64, 200), "tiny_imagenet_32": (3, 32, 200)}
    shapes |= {"cifar100": (3, 32, 100)}
    monkeypatch.setattr(build, "make", read)
    build._data.cache_clear()
    yield
    build._data.cache_clear()


def test_the_groups_are_the_documented_ones():
    documented = {"dataset", "model", "init", "optimizer", "rule", "stepsize", "scheduler", "tuned"}
    documented |= {
        "post_step",
        "problem",
        "trainer",
        "logger",
        "paths",
        "toy",
        "experiment",
        "debug",
        "search",
        "arms",
        "budget",
    }
    assert set(GROUPS) | {"tuned"} == documented
    assert all(names for group, names in GROUPS.items() if group != "tuned")


# Experiments are composed by test_what_an_experiment_is.
@pytest.mark.parametrize(("group", "name"), [it for it in EVERY if it[0] != "experiment"])
def test_every_yaml_composes_and_settles(config, group, name):
    words = [f"{group}={name}"] + ["dataset.path=x"] * (
        (group, name) == ("dataset", "image_folder")
    )
    settled = config(*words)
    if group in SECTIONS and group != "trainer" and (group, name) not in PAIRS:
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


def test_every_check_belongs_to_a_key_that_exists():
    keys = set(_flat(OmegaConf.to_container(OmegaConf.load(CONFIGS / "train.yaml"))))
    for group, name in EVERY:
        file = CONFIGS / group / f"{name}.yaml"
        prefix = "" if file.read_text(encoding="utf-8").startswith("# @package") else f"{group}."
        keys |= set(_flat(OmegaConf.to_container(OmegaConf.load(file)), prefix))
    assert set(CHECKS) <= keys


def _flat(config, prefix=""):
    for key, value in config.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")


@pytest.mark.parametrize("rule", GROUPS["rule"])
@pytest.mark.parametrize("optimizer", GROUPS["optimizer"])
def test_every_optimizer_with_every_rule_and_a_schedule(
    config, fake_data, monkeypatch, optimizer, rule
):
    # The kernels have tests of their own; compiling one for each of these would take minutes.
    monkeypatch.setattr("gofau.optim.execution.native.compiler.find", lambda: None)
    # The schedules take turns, so that each meets every optimizer and every rule.
    turn = GROUPS["optimizer"].index(optimizer) + GROUPS["rule"].index(rule)
    scheduler = GROUPS["scheduler"][turn % len(GROUPS["scheduler"])]
    words = [f"optimizer={optimizer}", f"rule={rule}", f"scheduler={scheduler}", "model=mlp"]
    trainer = build.build(config(*words, "trainer.epochs=2")).trainer
    trainer.run_epoch()
    assert trainer.step == 1


def test_there_are_turns_enough_for_all_schedules():
    assert len(GROUPS["scheduler"]) <= min(len(GROUPS["optimizer"]), len(GROUPS["rule"]))


def config_of(group, name):
    return OmegaConf.load(CONFIGS / group / f"{name}.yaml")


def of_images(group, name):
    """Whether a data set is of images, which may be augmented, or a model for images with labels:
    one that takes a number of classes."""
    if group == "dataset":
        return "augment" in config_of(group, name)
    target = get_object(str(OmegaConf.select(config_of(group, name), "_target_")))
    return "num_classes" in inspect.signature(target).parameters


def classifiers_on_datasets():
    """All pairs; each model and each data set is in one that is not long."""
    models = [m for m in GROUPS["model"] if of_images("model", m)]
    datasets = [d for d in GROUPS["dataset"] if of_images("dataset", d)]
    for (i, model), (j, dataset) in product(enumerate(models), enumerate(datasets)):
        if model.startswith("vgg") and dataset in ("digits", "fashion_mnist"):
            continue  # VGG halves the image five times
        short = j == i % len(datasets) or i == j % len(models)
        yield pytest.param(model, dataset, marks=() if short else pytest.mark.long)


@pytest.mark.parametrize(("model", "dataset"), [*classifiers_on_datasets()])
def test_every_classifier_on_every_dataset_it_can_take(config, fake_data, model, dataset):
    more = ["dataset.path=x"] * (dataset == "image_folder")
    built = build.build(config(f"model={model}", f"dataset={dataset}", *more))
    x, y = next(built.trainer.train.epoch(0))
    with torch.no_grad():
        logits = built.trainer.model.eval()(x[:2])
    assert logits.shape == (2, built.facts["classes"])
    assert y.max() < built.facts["classes"]


@pytest.mark.parametrize("name", [name for _, name in PAIRS])
def test_every_problem_that_names_a_pair_trains(config, fake_data, monkeypatch, name):
    monkeypatch.setattr("gofau.optim.execution.native.compiler.find", lambda: None)
    lines = (CONFIGS / "problem" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["# @package _global_", f"# python train.py problem={name}"]
    small = ["trainer.epochs=1", "trainer.batch_size=10", "trainer.limit_batches=2"]
    built = build.build(config(f"problem={name}", *small))
    row = built.trainer.run_epoch()
    assert math.isfinite(row[f"val/{built.metric.name}"] or row[f"train/{built.metric.name}"])


def test_what_is_typed_goes_before_what_a_problem_chooses(config):
    chosen = config("problem=fashion_autoencoder")
    names = {section: chosen[section]["name"] for section in ("problem", "dataset", "model")}
    assert names == {
        "problem": "reconstruction",
        "dataset": "fashion_mnist",
        "model": "autoencoder",
    }
    assert chosen["trainer"]["epochs"] == 20
    words = ["trainer.epochs=3", "dataset=digits", "model=small_autoencoder", "model.code=4"]
    for typed in (words, words[::-1]):
        settled = config(*typed[:2], "problem=fashion_autoencoder", *typed[2:])
        assert settled["trainer"]["epochs"] == 3
        assert settled["dataset"]["name"] == "digits"
        assert (settled["model"]["name"], settled["model"]["code"]) == ("small_autoencoder", 4)


def test_a_pair_is_the_run_of_its_parts(config):
    """The name of a pair is no part of what a run is."""
    parts = ["dataset=fashion_mnist", "model=mlp", "trainer.epochs=10", "trainer.batch_size=128"]
    assert identity(config("problem=fashion_mlp")) == identity(config(*parts))
    assert identity(config("problem=digits_cnn")) == identity(config())


@pytest.mark.parametrize("optimizer", GROUPS["optimizer"])
def test_every_optimizer_takes_a_post_step_or_is_one_run_with_all(
    config, fake_data, monkeypatch, optimizer
):
    monkeypatch.setattr("gofau.optim.execution.native.compiler.find", lambda: None)
    words = [f"optimizer={optimizer}", "rule=additive", "model=mlp"]
    settled = config(*words, "post_step=ham", "post_step.ham_alpha=20")
    if settled["optimizer"].get("own_rule"):
        assert settled["post_step"] == {"name": "none"}
        assert identity(settled) == identity(config(*words))
        return
    assert settled["post_step"] == {"name": "ham", "ham_alpha": 20, "ham_beta": 0.001}
    built = build.build(settled)
    groups = built.optimizer.param_groups
    assert [(g["post_step"], g["ham_alpha"]) for g in groups] == [("ham", 20)]
    built.trainer.run_epoch()


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
            ["trainer.memory_format=channels_first"],
            ["rerun=true", "logger=csv", "optimizer.lr=1e-1"],
        )
    ]
    assert len({identity(c) for c in same}) == 1
    words = ["seed=1", "optimizer.lr=0.2", "rule.gamma=0.25", "rule=additive", "optimizer=adam"]
    words += ["model=mlp", "init=orthogonal", "scheduler=constant", "trainer.epochs=3"]
    words += ["dataset.val_fraction=0.2", "dataset=cifar10", "dataset.augment.crop=1"]
    words += ["trainer.precision=bf16", "trainer.test=false", "rule.eta_out=0.1", "rule=power"]
    words += ["stepsize=trust_ratio", "post_step=ham"]
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
    if f"smoke_{name.partition('_')[2]}" in TWINS or f"smoke_{name}" in TWINS
]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_told_in_a_readme(name):
    folder = "defaults" if name.startswith("defaults_") else name
    text = (ROOT / "experiments" / folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {folder}\n")
    assert f"experiment={name}" in text
    for heading in ("**Claim it touches.**", "**Command.**", "**Cost.**", "**How to read it.**"):
        assert heading in text


def _values(axes):
    return {axis: str(words).split(",") for axis, words in axes.items()}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_an_experiment_is(config, name):
    """It is composed once, as that takes most of the time, for all that is asked of it."""
    whole = compose("train", [f"experiment={name}"], return_hydra_config=True)
    grid = _values(whole.hydra.sweeper.params)
    arms = [_values(axes) for axes in whole.hydra.sweeper.arms or [{}]]
    with open_dict(whole):
        del whole["hydra"]
    settled = settle(whole)
    # The number of threads changes the last bits of a sum, and with them a result. So one run of a
    # sweep that is typed again by itself gives what it gave in the sweep.
    assert settled["trainer"]["threads"] == 1
    assert not any("trainer.threads" in axes for axes in (grid, *arms))
    if name in TWINS:
        assert name.removeprefix("smoke_") in EXPERIMENTS
        assert settled["dataset"]["name"] == "digits"
        assert settled["trainer"]["epochs"] <= 15
        assert len(grid["seed"]) >= 5
    if name in REPORTED:
        text = (ROOT / "experiments" / name / "README.md").read_text(encoding="utf-8")
        epochs = settled["trainer"]["epochs"]
        assert f"= {_runs(grid, arms):,} runs{_long(grid, epochs)}" in " ".join(text.split())


def _runs(grid, arms):
    """The number of runs. All arms share the axes of the grid; each may have more of its own."""
    of_arms = sum(math.prod(map(len, arm.values())) for arm in arms)
    return math.prod(map(len, grid.values())) * of_arms


def _long(grid, epochs):
    if "problem" in grid:
        return ""  # problems differ in their epochs
    if "trainer.epochs" in grid:
        epochs = f"{grid['trainer.epochs'][0]} to {grid['trainer.epochs'][-1]}"
    return f" of {epochs} epochs"


@pytest.mark.parametrize("name", ["local", "basic", "joblib", "slurm", "submitit_slurm"])
def test_every_launcher_composes(config, name):
    words = [f"hydra/launcher={name}", "hydra.mode=MULTIRUN"]
    launcher = compose("train", words, return_hydra_config=True).hydra.launcher
    assert launcher._target_.endswith("Launcher")
    if name == "slurm":  # else the first time limit, or a preemption near it, ends the sweep
        assert launcher.max_num_timeout > 0
        assert launcher.timeout_min >= 20
