"""Configuration → problem, model, optimizer and trainer.

Keys that a constructor does not take, and values that an optimizer refuses, are errors in the
configuration: they raise `UserError`.
"""

import functools
import inspect
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from gofau.engine.compute import has_formats
from gofau.engine.distributed import World
from gofau.engine.hardware import device_of, use_threads
from gofau.engine.trainer import Settings, Trainer, steps_per_epoch
from gofau.errors import UserError
from gofau.models.init import initialise
from gofau.optim import RuleOptimizer
from gofau.optim.execution.native import compiler
from gofau.problems import Loader, Loading, Metric, Problem, Task
from gofau.session.computing import computing
from gofau.session.construct import Config, call_of, finish, make
from gofau.session.fits import check_last_batch, check_size

SETTINGS = ("epochs", "clip_norm", "limit_batches")


@dataclass(frozen=True)
class Built:
    """Everything a run needs, ready to start."""

    trainer: Trainer
    test: Loader
    metric: Metric
    optimizer: RuleOptimizer
    facts: dict[str, Any]
    """For the record: metric, what the problem says about its data, parameters, computation."""


def build(
    config: Config, world: World | None = None, begun: Mapping[str, Any] | None = None
) -> Built:
    """Problem, model, optimizer and trainer of a configuration that `settle` has checked.

    The seed decides the initial weights and the order and augmentation of the batches; the split
    has a seed of its own. Weights are drawn on the CPU, so a seed gives the same on all devices.

    Args:
        config: the configuration.
        world: the processes that train together; by default one.
        begun: of a run that is resumed, ``compute`` in its record.

    Raises:
        UserError: data is missing or broken, or a part does not fit another.
    """
    world = world or World()
    device = device_of(config["trainer"]["device"])
    if config["trainer"]["threads"]:
        use_threads(config["trainer"]["threads"])
    problem: Problem = make("problem", config["problem"])
    task = _task(config, problem, device, world)
    check_size(config, task.model, device)
    torch.manual_seed(config["seed"])
    model = _model(config, task)
    settings = Settings(**{key: config["trainer"][key] for key in SETTINGS})
    per_epoch = steps_per_epoch(task.train, settings)
    total = settings.epochs * per_epoch
    compute = computing(config, (problem, model, task), total, device, world, begun)
    model = world.prepare(compute.place(model))
    check_last_batch(config, model, task, per_epoch, compute)
    optimizer = optimizer_of(config, model, device)
    scheduler = make(
        "scheduler",
        config["scheduler"],
        optimizer,
        total_steps=total,
        steps_per_epoch=per_epoch,
    )
    facts = {
        "metric": asdict(task.metric),
        **task.facts,
        "parameters": sum(p.numel() for p in model.parameters()),
        "compute": {
            "precision": compute.precision,
            "memory_format": compute.memory_format if has_formats(model) else None,
            "compiled": compute.compiled is not None,
            "processes": world.size,
            "threads": torch.get_num_threads(),
        },
    }
    parts = (problem, model, optimizer, scheduler, task.train, task.validation, settings)
    trainer = Trainer(*parts, compute=compute, world=world)
    return Built(trainer, task.test, task.metric, optimizer, facts)


def _task(config: Config, problem: Problem, device: torch.device, world: World) -> Task:
    section, trainer = config["dataset"], config["trainer"]
    lacking = [key for key in problem.dataset_keys if key not in section]
    if lacking:
        raise UserError(
            f"dataset={section['name']} does not fit problem={config['problem']['name']}, which"
            f" needs its key {lacking[0]}"
        )
    keys = {key: section[key] for key in problem.dataset_keys}
    limit = trainer["device_data_limit"]
    loading = Loading(
        batch_size=trainer["batch_size"],
        eval_batch_size=trainer["eval_batch_size"],
        seed=config["seed"],
        device=device,
        share=(world.rank, world.size),
        resident_limit=None if limit is None else limit * 1e9,
    )
    return problem.task(data_of(config, problem), keys, loading)


def data_of(config: Config, problem: Problem | None = None) -> Any:
    """The data of a configuration: what the function of its dataset returns.

    Raises:
        UserError: the data is missing or broken.
    """
    its: Problem = problem or make("problem", config["problem"])
    section = config["dataset"]
    rest = {key: value for key, value in section.items() if key not in its.dataset_keys}
    return _data(json.dumps(rest, sort_keys=True))


@functools.lru_cache(maxsize=2)
def _data(dataset: str) -> Any:
    """The data of a dataset section, which is JSON so that it can be a key: read once for all runs
    of a sweep that share it."""
    return make("dataset", json.loads(dataset))


def _model(config: Config, task: Task) -> nn.Module:
    try:
        model = make("model", config["model"], **task.model)
    except UserError:
        _check_fit(config, task.model)  # a better sentence, if that is the reason
        raise
    init = config["init"]
    initialise(model, init["name"], scale=init["scale"], seed=config["seed"])
    return model


def _check_fit(config: Config, given: Mapping[str, Any]) -> None:
    """Check that the model takes the arguments that the problem supplies, and needs no others.

    Raises:
        UserError: it does not.
    """
    takes = inspect.signature(call_of("model", config["model"]).func).parameters.values()
    if any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in takes):
        return  # its signature does not say
    needs = {p.name for p in takes if p.default is p.empty} - config["model"].keys()
    if not needs <= given.keys() <= {p.name for p in takes}:
        raise UserError(
            f"model={config['model']['name']} does not fit problem={config['problem']['name']}:"
            f" the problem builds a model from {', '.join(given)}, this one takes"
            f" {', '.join(p.name for p in takes)}"
        )


def optimizer_of(config: Config, model: nn.Module, device: torch.device) -> RuleOptimizer:
    own = {key: value for key, value in config["optimizer"].items() if key != "own_rule"}
    call = call_of("optimizer", own)
    fused = isinstance(call.func, type) and issubclass(call.func, RuleOptimizer)
    # A run takes hundreds of steps, and its kernel is compiled once per machine: that pays off for
    # small models as well, for which the library by itself would use a loop.
    fused = fused and device.type == "cpu" and compiler.find() is not None
    path = {"fused": True} if fused else {}
    if config["optimizer"].get("own_rule"):
        return _made(own, call, model, **path)
    parts = {section: config[section] for section in ("rule", "stepsize", "post_step")}
    keys = path | {k: v for part in parts.values() for k, v in part.items() if k != "name"}
    names = {section: part["name"] for section, part in parts.items()}
    return _made(own, call, model, **names, **keys)


def _made(
    own: Config, call: functools.partial[Any], model: nn.Module, **more: Any
) -> RuleOptimizer:
    try:
        return finish("optimizer", own, call, model.parameters(), **more)
    except (ValueError, TypeError) as e:  # TypeError: a hyperparameter they do not have
        raise UserError(f"optimizer: {e}") from e
