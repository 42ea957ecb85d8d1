"""What gofau adds to Hydra: a sweeper, and a resolver for the number of jobs.

It is added by a function, when a command starts, since importing a module must change nothing.
"""

import os

from gofau.engine.hardware import has_gpu
from gofau.errors import UserError

SWEEPER = "hydra_plugins.gofau.AxesSweeper"
"""The sweeper's name in configs/hydra/sweeper/axes.yaml. Hydra accepts only names that begin with
``hydra_plugins``, which is a folder that it searches the path for; ours is not there, so that
gofau need not change the path, nor be imported by other programs that use Hydra."""


def extend() -> None:
    """Tell Hydra of our sweeper and OmegaConf of ``${gofau.jobs:}``."""
    from hydra.core.plugins import Plugins
    from omegaconf import OmegaConf

    from gofau.cli.sweeper import AxesSweeper

    Plugins.instance().class_name_to_class[SWEEPER] = AxesSweeper
    OmegaConf.register_new_resolver("gofau.jobs", jobs, replace=True)


def jobs() -> int:
    """The number of runs of a sweep that are trained at the same time, unless the command says it:
    ``GOFAU_JOBS``; else 1 with a GPU or in processes that train one run together; else one per
    core."""
    given = os.environ.get("GOFAU_JOBS", "")
    if given:
        if not given.isdigit() or given == "0":
            raise UserError(f"GOFAU_JOBS must be a whole number ≥ 1, got {given!r}")
        return int(given)
    if "TORCHELASTIC_RUN_ID" in os.environ or has_gpu():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
