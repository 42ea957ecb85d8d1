"""The keys of a configuration that gofau's own parts read, with their allowed values."""

from typing import Any

from gofau.config.domains import (
    FLAG,
    INNER_SHARE,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    TEXT,
    Check,
    choice,
    list_of,
    number,
    optional,
    rising,
    whole,
)

BUILT = ("problem", "dataset", "model", "optimizer", "scheduler", "logger")
"""Sections that are built by their ``_target_``, a class or function of gofau or of the user."""
OF_PROBLEMS = ("val_fraction", "split_seed", "train_size", "augment")
"""Keys of the dataset section that the problem reads."""

CHECKS: dict[str, Check] = {
    "seed": whole(0),
    "rerun": FLAG,
    "retry_failed": FLAG,
    "stale": choice("rerun", "keep"),
    "reuse": optional(TEXT),
    "sweep.minutes": optional(POSITIVE),
    "dataset.path": TEXT,
    "dataset.archive": Check(
        "a text, or a list of at least one",
        lambda v: TEXT.accepts(v) or (list_of(TEXT).accepts(v) and v != []),
    ),
    "dataset.url": optional(TEXT),
    "dataset.val_fraction": SHARE,
    "dataset.test_fraction": INNER_SHARE,
    "dataset.split_seed": whole(0),
    "dataset.train_size": optional(whole(1)),
    "dataset.image_size": optional(whole(1, 10_000)),
    "dataset.download": FLAG,
    "dataset.graph": choice("cora", "citeseer"),
    "dataset.neighbours": whole(1),
    "dataset.per_class": whole(1),
    "dataset.characters": whole(1, 10_000_000),
    "dataset.text_seed": whole(0),
    "dataset.augment.crop": whole(0),
    "dataset.augment.flip": FLAG,
    "dataset.augment.cutout": whole(0),
    "model.width": whole(1),
    "model.hidden": list_of(whole(1)),
    "model.code": whole(1),
    "model.layers": whole(1, 1000),
    "model.heads": whole(1),
    "model.dropout": SHARE,
    "model.stem": choice("auto", "cifar", "imagenet"),
    "init.scale": optional(number(1e-6, 1e3)),
    "scheduler.warmup_epochs": NOT_NEGATIVE,
    "scheduler.final": number(0, 1),
    "scheduler.milestones": rising(INNER_SHARE),
    "scheduler.gamma": number(1e-9, 1),
    "scheduler.warmup": INNER_SHARE,
    "scheduler.initial_divisor": number(1, 1e9),
    "scheduler.final_divisor": number(1, 1e9),
    "trainer.epochs": whole(1, 1_000_000),
    "trainer.batch_size": whole(1),
    "problem.label_smoothing": SHARE,
    "problem.context": whole(1, 10_000),
    "problem.blocks": whole(1, 10_000_000),
    "trainer.clip_norm": optional(POSITIVE),
    "trainer.limit_batches": optional(whole(1)),
    "trainer.test": FLAG,
    "trainer.detect_anomaly": FLAG,
    "trainer.device": TEXT,
    "trainer.precision": choice("fp32", "bf16", "auto"),
    "trainer.compile": choice("true", "false", "auto"),
    "trainer.memory_format": choice("channels_last", "channels_first", "auto"),
    "trainer.device_data_limit": optional(POSITIVE),
    "trainer.threads": optional(whole(1, 1024)),
    "trainer.eval_batch_size": whole(1),
    "trainer.checkpoint.epochs": optional(whole(1)),
    "trainer.checkpoint.seconds": optional(NOT_NEGATIVE),
    "trainer.keep": choice("auto", "last", "best", "none"),
    "trainer.diagnostics_every": optional(whole(1)),
    "trainer.progress": choice("auto", "bar", "lines", "none"),
    "paths.data_dir": TEXT,
    "paths.cache_dir": TEXT,
    "paths.runs_dir": TEXT,
}
WANDB: dict[str, Check] = {
    "logger.project": TEXT,
    "logger.entity": optional(TEXT),
    "logger.group": optional(TEXT),
    "logger.mode": choice("offline", "online", "disabled"),
    "logger.tags": list_of(TEXT),
}
"""The keys of ``logger=wandb``; in other loggers these names may have another meaning."""


def checks(config: dict[str, Any]) -> dict[str, Check]:
    """The checks that apply to a configuration. A part whose ``_target_`` is the user's own gives
    its keys a meaning of its own, so they are not checked here."""
    wandb = WANDB if config["logger"].get("name") == "wandb" else {}
    return {k: check for k, check in (CHECKS | wandb).items() if not _is_the_users(k, config)}


def _is_the_users(key: str, config: dict[str, Any]) -> bool:
    section, _, rest = key.partition(".")
    if section == "dataset" and rest.partition(".")[0] in OF_PROBLEMS:
        section = "problem"
    return section in BUILT and not str(config[section].get("_target_")).startswith("gofau.")
