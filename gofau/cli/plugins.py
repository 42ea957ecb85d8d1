"""Gofau's additions to Hydra: a sweeper, and a resolver for the number of jobs.

A function adds them when a command starts, since importing a module must have no side effects.
"""

import os

from gofau.engine.hardware import has_gpu
from gofau.errors import UserError

SWEEPER = "hydra_plugins.gofau.AxesSweeper"
"""The sweeper's name in configs/hydra/sweeper/axes.yaml. Hydra accepts only names that begin with
``hydra_plugins``, a package that it searches for plugins. Ours is registered under such a name
without being in that package: so ``sys.path`` stays as it is, and other programs that use Hydra do
not import gofau."""


def extend() -> None:
    """Register our sweeper in Hydra and ``${gofau.jobs:}`` in OmegaConf."""
    from hydra.core.plugins import Plugins
    from omegaconf import OmegaConf

    from gofau.cli.sweeper import AxesSweeper

    Plugins.instance().class_name_to_class[SWEEPER] = AxesSweeper
    OmegaConf.register_new_resolver("gofau.jobs", jobs, replace=True)


def jobs() -> int:
    """The default number of runs that a sweep trains in parallel: ``GOFAU_JOBS`` if set; else 1
    with a GPU, or in processes that train one run together; else one per core."""
    given = os.environ.get("GOFAU_JOBS", "")
    if given:
        if not given.isdigit() or given == "0":
            raise UserError(f"GOFAU_JOBS must be a whole number ≥ 1, got {given!r}")
        return int(given)
    if "TORCHELASTIC_RUN_ID" in os.environ or has_gpu():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
