"""The configurations that are measured, and random images instead of a data set."""

import contextlib
import io
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from gofau.config.hydras import BASE
from gofau.config.schema import Config, settle
from gofau.data.images import ImageData, Images
from gofau.runs import read_status

ROOT = Path(__file__).resolve().parents[2]
CROP = 4  # pixels, for images of 32 × 32; images of 8 × 8 are not augmented
TRAIN_IMAGES, EPOCHS = 45_000, 15
"""CIFAR-10's training images without the validation split, and the default number of epochs."""


def composed(*words: str) -> DictConfig:
    """The configuration that Hydra composes for ``python train.py WORDS``."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "configs"), **BASE):
        return compose("train", [*words])


def environment(bytecode: bool = True) -> dict[str, str]:
    """The environment of a command that is measured: that of this process, but Python may read and
    write bytecode files. With ``bytecode=False`` it must compile everything it imports."""
    found = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHONDONT", "PYTHONPYC"))}
    nowhere = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": os.devnull}
    return found if bytecode else found | nowhere


def configured(shape: tuple[int, int, int], images: int, *words: str) -> Config:
    """The settled configuration of ``words``, with random images of that shape (C, H, W) as data,
    cropped and flipped if they are of 32 pixels."""
    config = settle(composed(*words))
    moves = shape[1] >= 32
    config["dataset"] |= {
        "_target_": f"{__name__}.random_data",
        "shape": list(shape),
        "images": images,
        "val_fraction": 0.0,
        "augment": {"crop": CROP if moves else 0, "flip": moves, "cutout": 0},
    }
    for key in ("test_fraction", "data_dir", "cache_dir"):
        del config["dataset"][key]
    return config


def random_data(shape: list[int], images: int, split_seed: int = 0) -> ImageData:
    """Random pixels and labels of ten classes; the test set is one image."""
    channels, height, width = shape
    draw = np.random.default_rng(split_seed)
    pixels = draw.integers(0, 256, (images, height, width, channels), np.uint8)
    labels = draw.integers(0, 10, images)
    train = Images(pixels, labels)
    classes = tuple("0123456789")
    return ImageData("random", classes, train, Images(pixels[:1].copy(), labels[:1].copy()))


def trained(*words: str) -> dict[str, Any]:
    """Carry out one run in this process, as ``python train.py WORDS`` does, in a folder that is
    removed afterwards. Returns its status, with ``wall``: the seconds of `gofau.cli.run.run`."""
    from gofau.cli.run import run

    with TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        quiet = ("trainer.progress=none", "trainer.keep=none")  # as in a sweep
        cfg = composed(*words, f"paths.runs_dir={folder}", *quiet)
        began = time.perf_counter()
        run(cfg)
        wall = time.perf_counter() - began
        (place,) = Path(folder).glob("*-*")
        return read_status(place) | {"wall": wall}
