"""The configurations of a sweep are Hydra's own, and composed once for each choice of groups."""

from collections.abc import Iterator
from typing import Any

import hydra
import pytest
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from gofau.config.composer import Composer
from gofau.config.hydras import BASE
from tests.command_line import ROOT


@pytest.fixture(scope="module")
def loader() -> Iterator[ConfigLoaderImpl]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "configs"), **BASE):
        yield GlobalHydra.instance().config_loader()  # type: ignore[misc]
    GlobalHydra.instance().clear()


@pytest.fixture(scope="module")
def master(loader: ConfigLoaderImpl) -> DictConfig:
    return loader.load_configuration("train", ["hydra/launcher=local"], RunMode.MULTIRUN)


@pytest.fixture
def composer(loader: ConfigLoaderImpl, monkeypatch: pytest.MonkeyPatch) -> Composer:
    monkeypatch.setattr("gofau.config.composer._composed", {})
    return Composer(loader.get_search_path())


@pytest.mark.parametrize("name", ["train", "toy"])
def test_the_mode_is_typed_and_not_configured(loader, name):
    """Which tests/conftest.py relies on."""
    assert loader.load_configuration(name, [], RunMode.MULTIRUN).hydra.mode is None


def whole(config: DictConfig) -> Any:
    """With interpolations as they are written."""
    return OmegaConf.to_container(config)


CHOICES = ("model=mlp", "optimizer=adam", "rule=additive", "experiment=smoke_tab3_cifar10_lr")
PROBLEMS = ("problem=fashion_autoencoder", "problem=digits_cnn", "problem=reconstruction")
VALUES = (
    "seed=3",
    "optimizer.lr=1e-3",
    "optimizer.lr=0.5",
    "trainer.epochs=2",
    "trainer={epochs: 7}",
    "sweep={minutes: 3}",
    "paths.runs_dir='a b/$c'",
    "hydra.sweep.dir=elsewhere",
    "dataset.augment={crop: 1, flip: true}",
)
OTHERS = (
    "~tuned",
    "+optimizer.weight_decay=0.1",
    "++optimizer.momentum=0.5",
    "+new=1",
    "~seed",
    "hydra/sweeper=basic",
)


@pytest.mark.long
@settings(max_examples=30, deadline=None)
@given(
    words=st.lists(st.sampled_from(CHOICES + PROBLEMS + VALUES + OTHERS), max_size=5, unique=True)
)
def test_a_configuration_is_hydras_own_or_fails_as_there(loader, master, words):
    def found(by: ConfigLoaderImpl) -> Any:
        try:
            return whole(by.load_sweep_config(master, words))
        except HydraException as e:
            return type(e), str(e)

    quick = Composer(loader.get_search_path())
    expected = found(loader)
    assert found(quick) == expected
    assert found(quick) == expected  # and when it is all there already


def test_what_comes_after_an_addition_is_not_set_before_it(composer, loader, master):
    words = ["optimizer.lr=0.3", "++optimizer.lr=0.2", "optimizer.lr=0.1", "+a=1", "a=2"]
    config = composer.load_sweep_config(master, words)
    assert config.optimizer.lr == pytest.approx(0.1)
    assert config.a == 2
    assert whole(config) == whole(loader.load_sweep_config(master, words))


brings_a_sweeper = pytest.mark.skipif(
    not hydra.__version__.startswith("1.3"),
    reason="Hydra 1.4 refuses what sets the sweeper once the sweep has started",
)


@pytest.mark.parametrize(
    "others",
    [
        ["seed=1", "trainer.epochs=3", "optimizer.lr=0.5"],
        ["dataset=digits", "trainer.batch_size=7"],
        ["model=mlp", "model.hidden=[3]", "problem.name=x"],
        pytest.param(["experiment=smoke_tab3_cifar10_lr", "seed=2"], marks=brings_a_sweeper),
    ],
)
def test_a_problem_brings_its_data_set_and_model(composer, loader, master, others):
    """A group that overrides others and sets their values, typed first and typed last."""
    problem = "problem=fashion_autoencoder"
    for words in ([problem, *others], [*others, problem]):
        config = composer.load_sweep_config(master, words)
        assert whole(config) == whole(loader.load_sweep_config(master, words))


def test_a_choice_is_composed_once(composer, master, monkeypatch):
    composed = []
    name = "_load_configuration"  # of Hydra 1.4
    name = name if hasattr(ConfigLoaderImpl, name) else "load_configuration"
    load = getattr(ConfigLoaderImpl, name)

    def counted(self: Any, *args: Any, **more: Any) -> DictConfig:
        composed.append(more["overrides"])
        return load(self, *args, **more)

    monkeypatch.setattr(ConfigLoaderImpl, name, counted)
    configs = [
        composer.load_sweep_config(master, [f"model={m}", f"seed={seed}", f"optimizer.lr={lr}"])
        for m in ("mlp", "small_cnn")
        for seed in range(5)
        for lr in (0.1, 0.2)
    ]
    assert len(composed) == 2
    assert {(c.model.name, c.seed, c.optimizer.lr) for c in configs} == {
        (m, seed, lr) for m in ("mlp", "small_cnn") for seed in range(5) for lr in (0.1, 0.2)
    }


def test_a_configuration_is_the_runs_alone(composer, master):
    first = composer.load_sweep_config(master, ["seed=1"])
    first.optimizer.lr = 99
    first.hydra.job.num = 7
    again = composer.load_sweep_config(master, ["seed=1"])
    assert again.optimizer.lr != 99
    assert OmegaConf.is_missing(again.hydra.job, "num")
