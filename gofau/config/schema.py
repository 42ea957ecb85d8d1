"""Resolves and checks configurations, before anything is read or built.

Every error is a `UserError`: one sentence with the key, what is allowed and what was given.
"""

import math
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from gofau.config.keys import checks
from gofau.config.search import draw
from gofau.config.sections import check_sections
from gofau.engine.hardware import best_precision, is_cpu
from gofau.errors import UserError

Config = dict[str, Any]
FP32_ON_CPU = ("mlp", "autoencoder", "small_autoencoder", "gcn", "char_transformer")
"""Models that bf16 does not make faster on a CPU: their matrices are sparse or too small (MLPs: see
results/bench_train; a step of char_transformer takes a fifth longer)."""


def settle(cfg: DictConfig) -> Config:
    """Turn a configuration into plain data, resolved and checked: `resolve`, then `check`.

    Raises:
        UserError: a required key is missing, or a value has the wrong type or is out of range.
    """
    config = resolve(cfg)
    check(config)
    return config


def resolve(cfg: DictConfig) -> Config:
    """Resolve a configuration: the part of `settle` that a run's identity needs. If a data set may
    come from several archives (all of the data, or a subset), the result names the one in the data
    folder; if the hardware decides the precision, it names the precision.

    Raises:
        UserError: as for `settle`, except for values that only the optimizer library checks.
    """
    try:
        config = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as e:
        raise UserError(f"{e.full_key} is required: give {e.full_key}=…") from e
    except OmegaConfBaseException as e:
        raise UserError(f"the configuration has an error: {str(e).splitlines()[0]}") from e
    assert isinstance(config, dict)
    check_sections(config)  # type: ignore[arg-type]
    for key, domain in checks(config).items():  # type: ignore[arg-type]
        found, value = _look_up(config, key)
        if found and not domain.accepts(value):
            raise UserError(domain.sentence(key, value))
    _refuse_infinite(config)
    # First the rule: it decides which hyperparameters a search draws.
    _pin_rule(config)  # type: ignore[arg-type]
    if config.get("search"):
        draw(config)  # type: ignore[arg-type]
    _pin_archive(config["dataset"])  # type: ignore[arg-type]
    _pin_precision(config)  # type: ignore[arg-type]
    return config  # type: ignore[return-value]


def _refuse_infinite(value: Any, key: str = "") -> None:
    """Raise for a value that is NaN or infinite: it has no meaning, and JSON cannot hold it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _refuse_infinite(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            _refuse_infinite(inner, f"{key}[{i}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{key} must be a finite number, got {value}")


def _pin_rule(config: Config) -> None:
    """Fix rule, step size and post step of an optimizer that has its own (``own_rule``), so that
    whatever a sweep combines it with gives one and the same run.

    Raises:
        UserError: the step size would replace η, and has set ``optimizer.lr`` for that.
    """
    if config["optimizer"].get("own_rule"):
        _refuse_rate(config)
        config["rule"], config["stepsize"] = {"name": "own"}, {"name": "base"}
        config["post_step"] = {"name": "none"}
        # A problem may ask for weight decay. These optimizers have none: what bounds their weights
        # is part of them.
        config["optimizer"].pop("weight_decay", None)


def _refuse_rate(config: Config) -> None:
    if config["stepsize"]["name"] == "base":
        return
    from gofau.optim import STEPSIZES  # imports torch, which most commands can spare here

    size = STEPSIZES.get(config["stepsize"]["name"])
    if size is not None and size.role == "eta":
        name = config["optimizer"]["name"]
        raise UserError(
            f"optimizer={name} has a step size of its own: leave stepsize={size.name} out"
        )


def _pin_archive(dataset: Config) -> None:
    """Replace a list of archives by the one in the data folder, so that a run's identity says which
    data it was trained on. If none is there, it is the first, which can be downloaded."""
    names = dataset.get("archive")
    if isinstance(names, list):
        here = Path(dataset["data_dir"]).expanduser()
        dataset["archive"] = next((n for n in names if (here / n).exists()), names[0])


def _pin_precision(config: Config) -> None:
    """Replace precision "auto" by the actual one, so that a run's identity names it."""
    trainer = config["trainer"]
    if trainer["precision"] == "auto":
        small = config["model"]["name"] in FP32_ON_CPU and is_cpu(trainer["device"])
        trainer["precision"] = "fp32" if small else best_precision(trainer["device"])


def _look_up(config: Any, key: str) -> tuple[bool, Any]:
    for part in key.split("."):
        if not isinstance(config, dict) or part not in config:
            return False, None
        config = config[part]
    return True, config


def check(config: Config) -> None:
    """Apply the optimizer library's checks, with the keys' full names, before data is read.

    Raises:
        UserError: a value has the wrong type or is out of range.
    """
    from gofau.optim import POST_STEPS, RULES, STEPSIZES
    from gofau.optim.checks import DECAY_RATE, FLAGS, RANGES, ZERO_INIT, Interval, check_number
    from gofau.optim.checks import one_of as check_name

    # As in torch, the library lets an average grow without bound; a run that asks for it is a slip.
    averages = {"momentum": DECAY_RATE, "alpha": DECAY_RATE, "dampening": Interval(0, 1)}
    ranges = {**RANGES, **averages}

    try:
        rules = RULES if not config["optimizer"].get("own_rule") else {"own": RULES["additive"]}
        rule = rules[check_name("rule.name", config["rule"]["name"], rules)]
        size = STEPSIZES[check_name("stepsize.name", config["stepsize"]["name"], STEPSIZES)]
        last = POST_STEPS[check_name("post_step.name", config["post_step"]["name"], POST_STEPS)]
        own = {"optimizer": {}, "rule": rule.own, "stepsize": size.own, "post_step": last.own}
        for section in own:
            for name, value in config[section].items():
                key = f"{section}.{name}"
                # Keys that no table knows are left to the class that is built with them.
                if name == "betas":
                    if not isinstance(value, list) or len(value) != 2:
                        raise ValueError(f"{key} must be a pair of numbers, got {value!r}")
                    for i, beta in enumerate(value):
                        check_number(f"{key}[{i}]", beta, RANGES[name])
                elif name in ranges:
                    check_number(key, value, ranges[name])
                elif name in FLAGS and not isinstance(value, bool):
                    raise ValueError(f"{key} must be true or false, got {value!r}")
                elif name in own[section]:
                    own[section][name].check(value, key)
                elif name == "zero_init":
                    check_name(key, value, ZERO_INIT)
    except ValueError as e:
        raise UserError(str(e)) from e
