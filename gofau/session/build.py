"""Configuration → objects. The only module that knows Hydra's instantiate.

Keys that a constructor does not take, and values an optimizer refuses, are faults of the
configuration: a `UserError`.
"""

import functools
import inspect
import json
from dataclasses import dataclass
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from torch import nn

from gofau.data.augment import Augment
from gofau.data.batches import Batches, channel_stats
from gofau.data.images import ImageData, Images
from gofau.data.split import hold_out, subset
from gofau.engine.compilation import Compiled, pays
from gofau.engine.compute import Compute
from gofau.engine.distributed import World
from gofau.engine.hardware import device_of
from gofau.engine.trainer import Settings, Trainer, steps_per_epoch
from gofau.errors import UserError
from gofau.models.init import initialise
from gofau.optim import RuleOptimizer
from gofau.optim.execution.native import compiler

Config = dict[str, Any]
NOT_THE_DATASETS = ("val_fraction", "split_seed", "train_size", "augment")
"""Keys of a dataset group that say how it is used, not how it is read."""
SETTINGS = ("epochs", "clip_norm", "limit_batches")


@dataclass(frozen=True)
class Parts:
    """Everything a run needs, ready to go."""

    trainer: Trainer
    test: Batches
    optimizer: RuleOptimizer
    facts: dict[str, Any]
    """Worth recording: classes, images in each part, parameters, how it is computed."""


def build(config: Config, world: World | None = None) -> Parts:
    """Data, model, optimizer and trainer of a configuration that `settle` has checked.

    The seed decides the initial weights and the order and augmentation of the batches; the split
    has a seed of its own. Weights are drawn on the CPU, so a seed means the same on every device.

    Raises:
        UserError: data is missing or broken, or a part does not fit another.
    """
    world = world or World()
    device = device_of(config["trainer"]["device"])
    if config["trainer"]["threads"]:
        torch.set_num_threads(config["trainer"]["threads"])
    data, images, stats = _data(json.dumps(config["dataset"], sort_keys=True))
    train, validation, test = _batches(config, images, stats, device, world)
    torch.manual_seed(config["seed"])
    model = _model(config, data)
    settings = Settings(
        label_smoothing=config["problem"]["label_smoothing"],
        **{key: config["trainer"][key] for key in SETTINGS},
    )
    per_epoch = steps_per_epoch(train, settings)
    shape = (train.count(0), *data.shape)
    compute = _compute(config, model, shape, settings.epochs * per_epoch, device, world)
    model = world.prepare(compute.place(model))
    optimizer = _optimizer(config, model, device)
    scheduler = make(
        "scheduler",
        config["scheduler"],
        optimizer,
        total_steps=per_epoch * settings.epochs,
        steps_per_epoch=per_epoch,
    )
    facts = {
        "classes": len(data.classes),
        "images": {name: len(part) for name, part in images.items()},
        "parameters": sum(p.numel() for p in model.parameters()),
        "compute": {
            "precision": compute.precision,
            "compiled": compute.compiled is not None,
            "processes": world.size,
            "threads": torch.get_num_threads(),
        },
    }
    trainer = Trainer(
        model, optimizer, scheduler, train, validation, settings, compute=compute, world=world
    )
    return Parts(trainer, test, optimizer, facts)


@functools.lru_cache(maxsize=2)
def _data(dataset: str) -> tuple[ImageData, dict[str, Images], Any]:
    """The data of a dataset section (as JSON), its parts, and the channels' statistics: read once
    for all the runs of a sweep that share it."""
    config = json.loads(dataset)
    data = make("dataset", config, without=NOT_THE_DATASETS)
    train, validation = hold_out(data.train, config["val_fraction"], config["split_seed"])
    train = subset(train, config["train_size"], config["split_seed"])
    parts = {"train": train, "validation": validation, "test": data.test}
    return data, parts, channel_stats(train)


def _batches(
    config: Config, images: dict[str, Images], stats: Any, device: torch.device, world: World
) -> list[Batches]:
    """Training, validation and test batches; all are normalised as the training images need it."""
    trainer = config["trainer"]
    limit = trainer["device_data_limit"]
    size = max(images[part].stored.nbytes for part in ("train", "test"))
    common = {"mean": stats[0], "std": stats[1], "device": device}
    common |= {"share": (world.rank, world.size)}
    # On the CPU the host's memory is the device's: there is nothing to move.
    common["resident"] = device.type == "cpu" or limit is None or size <= limit * 1e9
    train = Batches(
        images["train"],
        batch_size=trainer["batch_size"],
        augment=Augment(**config["dataset"]["augment"]),
        shuffle=True,
        seed=config["seed"],
        **common,
    )
    size = trainer["eval_batch_size"]
    return [train, *(Batches(images[k], batch_size=size, **common) for k in ("validation", "test"))]


def _compute(
    config: Config,
    model: nn.Module,
    shape: tuple[int, ...],
    steps: int,
    device: torch.device,
    world: World,
) -> Compute:
    """``shape`` is that of a whole batch, ``steps`` those of the whole run."""
    batch, *image = shape
    wanted = config["trainer"]["compile"]
    if wanted == "auto":
        wanted = world.size == 1 and pays(device, model, tuple(image), steps * batch)
    compiled = Compiled((batch // world.size, *image)) if wanted else None
    return Compute(device, config["trainer"]["precision"], compiled)


def _model(config: Config, data: ImageData) -> nn.Module:
    model = make("model", config["model"], shape=data.shape, num_classes=len(data.classes))
    init = config["init"]
    initialise(model, init["name"], scale=init["scale"], seed=config["seed"])
    return model


def _optimizer(config: Config, model: nn.Module, device: torch.device) -> RuleOptimizer:
    parts = (config["rule"], config["stepsize"])
    keys = {k: v for part in parts for k, v in part.items() if k != "name"}
    if device.type == "cpu" and compiler.find() is not None:
        # A step is taken hundreds of times here, and its kernel is compiled once a machine: that
        # pays for small models as well, for which the library alone would loop.
        keys["fused"] = True
    try:
        return make(
            "optimizer",
            config["optimizer"],
            model.parameters(),
            rule=config["rule"]["name"],
            stepsize=config["stepsize"]["name"],
            **keys,
        )
    except (ValueError, TypeError) as e:  # TypeError: a hyperparameter they do not have
        raise UserError(f"optimizer: {e}") from e


def make(
    section: str, config: Config, *args: Any, without: tuple[str, ...] = (), **more: Any
) -> Any:
    """Call the ``_target_`` of a config group with its keys (all but ``name`` and ``without``), the
    arguments given here added.

    Raises:
        UserError: there is no such target, or it does not take these keys.
    """
    keys = {k: v for k, v in config.items() if k not in ("name", *without)}
    try:
        call = instantiate(keys, _partial_=True, _convert_="all")
    except InstantiationException as e:
        raise UserError(f"{section}._target_: {str(e).splitlines()[0]}") from e
    try:
        inspect.signature(call.func).bind(*args, **call.keywords, **more)
    except TypeError as e:
        raise UserError(f"{section}: {config['_target_']} refuses its keys: {e}") from e
    return call(*args, **more)
