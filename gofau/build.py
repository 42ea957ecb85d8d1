"""Configuration → objects. The only module that knows Hydra's instantiate.

Keys that a constructor does not take, and values an optimizer refuses, are faults of the
configuration: a `UserError`.
"""

import inspect
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
from gofau.errors import UserError
from gofau.init import initialise
from gofau.optim import RuleOptimizer
from gofau.training import Settings, Trainer, steps_per_epoch

Config = dict[str, Any]
NOT_THE_DATASETS = ("val_fraction", "split_seed", "train_size", "augment")
"""Keys of a dataset group that say how it is used, not how it is read."""
SETTINGS = ("epochs", "label_smoothing", "clip_norm", "limit_batches")


@dataclass(frozen=True)
class Parts:
    """Everything a run needs, ready to go."""

    trainer: Trainer
    test: Batches
    device: str
    optimizer: RuleOptimizer
    facts: dict[str, Any]
    """Sizes worth recording: classes, images in each part, parameters."""


def build(config: Config) -> Parts:
    """Data, model, optimizer and trainer of a configuration that `gofau.config.settle` has checked.

    The seed decides the initial weights and the order and augmentation of the batches; the split
    has a seed of its own. Weights are drawn on the CPU, so a seed means the same on every device.

    Raises:
        UserError: data is missing or broken, or a part does not fit another.
    """
    device = _device(config["trainer"]["device"])
    if config["trainer"]["threads"]:
        torch.set_num_threads(config["trainer"]["threads"])
    data = make("dataset", config["dataset"], without=NOT_THE_DATASETS)
    images = _parts(config["dataset"], data)
    train, validation, test = _batches(config, images, device)
    torch.manual_seed(config["seed"])
    model = _model(config, data).to(device)
    optimizer = _optimizer(config, model)
    settings = Settings(**{key: config["trainer"][key] for key in SETTINGS})
    per_epoch = steps_per_epoch(train, settings)
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
    }
    trainer = Trainer(model, optimizer, scheduler, train, validation, settings)
    return Parts(trainer, test, device, optimizer, facts)


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as e:
        raise UserError(f"trainer.device: torch cannot use '{name}' on this machine") from e
    return name


def _parts(config: Config, data: ImageData) -> dict[str, Images]:
    train, validation = hold_out(data.train, config["val_fraction"], config["split_seed"])
    train = subset(train, config["train_size"], config["split_seed"])
    return {"train": train, "validation": validation, "test": data.test}


def _batches(config: Config, images: dict[str, Images], device: str) -> list[Batches]:
    """Training, validation and test batches; all are normalised as the training images need it."""
    mean, std = channel_stats(images["train"])
    common = {"mean": mean, "std": std, "device": device}
    train = Batches(
        images["train"],
        batch_size=config["trainer"]["batch_size"],
        augment=Augment(**config["dataset"]["augment"]),
        shuffle=True,
        seed=config["seed"],
        **common,
    )
    size = config["trainer"]["eval_batch_size"]
    return [train, *(Batches(images[k], batch_size=size, **common) for k in ("validation", "test"))]


def _model(config: Config, data: ImageData) -> nn.Module:
    model = make("model", config["model"], shape=data.shape, num_classes=len(data.classes))
    init = config["init"]
    initialise(model, init["name"], scale=init["scale"], seed=config["seed"])
    return model


def _optimizer(config: Config, model: nn.Module) -> RuleOptimizer:
    rule = {key: value for key, value in config["rule"].items() if key != "name"}
    try:
        return make(
            "optimizer",
            config["optimizer"],
            model.parameters(),
            rule=config["rule"]["name"],
            **rule,
        )
    except (ValueError, TypeError) as e:  # TypeError: a hyperparameter the rule does not have
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
