"""How a run is computed: precision, memory format, compiled or not, and what ``auto`` means."""

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from gofau.engine.choice import AUTO, Chooser
from gofau.engine.compilation import Compiled
from gofau.engine.compute import LAST, Compute
from gofau.engine.distributed import World
from gofau.errors import UserError
from gofau.optim import get_stepsize
from gofau.problems import Problem, Task

log = logging.getLogger(__name__)

Config = dict[str, Any]


def computing(
    config: Config,
    parts: tuple[Problem, nn.Module, Task],
    steps: int,
    device: torch.device,
    world: World,
    begun: Mapping[str, Any] | None,
) -> Compute:
    """The arithmetic of a run.

    Args:
        config: the settled configuration.
        parts: problem, model and task of the run; the model is on the CPU, and is not changed.
        steps: those of the whole run.
        device: the device that it trains on.
        world: the processes that train together.
        begun: how the run was computed until now (``compute`` in its record), if it is resumed:
            then ``auto`` is what it was at the start, and the result is the same to the bit. None
            for a run that starts.

    Raises:
        UserError: several processes, and a step size that needs the whole batch.
    """
    # Configurations of older runs do not have the key. The format was channels last.
    layout = config["trainer"].get("memory_format", LAST)
    wanted = _compile(config, world)
    if begun is not None:
        layout = (begun.get("memory_format") or LAST) if layout == AUTO else layout
        wanted = begun.get("compiled", False) if wanted == AUTO else wanted
    problem, model, task = parts
    compute = Compute(device, config["trainer"]["precision"])
    if AUTO in (layout, wanted):
        chosen: tuple[str, bool] | None = None
        if world.first:  # it chooses for all, so that they compute alike
            case = {key: config[key] for key in ("problem", "model")}
            case["given"] = str(dict(task.model))
            chooser = Chooser(problem, model, task.train, task.example, steps, world.size, case)
            chosen = chooser.choose(compute, layout, wanted)
        layout, wanted = world.agree(chosen)
    share = task.train.count(0) // world.size
    return Compute(device, compute.precision, layout, Compiled(share) if wanted else None)


def _compile(config: Config, world: World) -> bool | str:
    """``trainer.compile``; false where it is not possible, or ``auto`` never compiles."""
    wanted, stepsize = config["trainer"]["compile"], config["stepsize"]["name"]
    needs = get_stepsize(stepsize).needs
    alone = needs & {"loss", "curvature"}  # gradients are averaged over processes, these are not
    if alone and world.size > 1:
        raise UserError(
            f"stepsize={stepsize} needs the {' and '.join(sorted(alone))} of the whole batch, of"
            f" which {world.size} processes have a share each: train with one process"
        )
    if "curvature" in needs:  # what is compiled cannot be differentiated twice
        if wanted is True:
            log.warning("trainer.compile=true: not with stepsize=%s, going on without", stepsize)
        return False
    return False if wanted == AUTO and world.size > 1 else wanted
