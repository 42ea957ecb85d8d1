"""Every config names a function and exactly the keywords that it takes."""

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest
from omegaconf import OmegaConf

from gofau.data import Augment

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "dataset").glob("*.yaml"))
# Of images: taken out by what builds a run, before the function is called with the rest.
FOR_TRAINING = {"name", "val_fraction", "split_seed", "train_size", "augment"}


def load(path) -> dict[str, Any]:
    config = OmegaConf.load(path)
    paths = {"paths": {"data_dir": "some/data", "cache_dir": "some/cache"}}
    merged = OmegaConf.merge(paths, {"dataset": config})
    if OmegaConf.is_missing(merged.dataset, "path"):
        merged.dataset.path = "pets.zip"
    return cast(dict[str, Any], OmegaConf.to_container(merged.dataset, resolve=True))


def test_all_are_there():
    names = "cifar10 cifar100 cifar10_jpeg digits fashion_mnist image_folder tiny_imagenet"
    assert {path.stem for path in CONFIGS} >= set(names.split())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_keys_are_those_of_the_function(path):
    config = load(path)
    module, function = config.pop("_target_").rsplit(".", 1)
    assert config["name"] == path.stem
    of_images = "augment" in config
    taken = FOR_TRAINING if of_images else {"name"}
    assert set(config) >= taken
    if of_images:
        Augment(**config["augment"])
    rest = {key: value for key, value in config.items() if key not in taken}
    signature = inspect.signature(getattr(import_module(module), function))
    signature.bind(**rest)
    optional = {"image_size"}  # where a data set's own size is the default
    assert set(signature.parameters) - taken - optional == set(rest) - optional
    assert (rest["data_dir"], rest["cache_dir"]) == ("some/data", "some/cache")
