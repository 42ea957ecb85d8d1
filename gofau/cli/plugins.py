"""Gofau's additions to Hydra: sweepers, a launcher, and a resolver for the number of jobs.

A function adds them when a command starts, since importing a module must have no side effects.
"""

import os
from typing import Any

from gofau.engine.hardware import has_gpu
from gofau.runs.cores import cores, wished

PREFIX = "hydra_plugins.gofau"
"""Hydra accepts only names that begin with ``hydra_plugins``, a package that it searches for
plugins. Ours are registered under such names without being in that package: so ``sys.path`` stays
as it is, and other programs that use Hydra do not import gofau."""


def extend() -> None:
    """Register our sweepers and our launcher in Hydra, under the names that configs/hydra uses, and
    ``${gofau.jobs:}`` in OmegaConf."""
    from hydra.core.plugins import Plugins

    from gofau.cli.sweeper import AxesSweeper
    from gofau.config.hydras import register_resolver

    # Hydra takes classes, and calls them: functions import what only some commands need.
    known: Any = Plugins.instance().class_name_to_class
    known[f"{PREFIX}.AxesSweeper"] = AxesSweeper
    known[f"{PREFIX}.OptunaSweeper"] = _optuna
    known[f"{PREFIX}.SlurmLauncher"] = _slurm
    register_resolver("gofau.jobs", jobs)


def _optuna(**keys: Any) -> Any:
    from gofau.cli.search import OptunaSweeper

    return OptunaSweeper(**keys)


def _slurm(**keys: Any) -> Any:
    from gofau.cli.slurm import SlurmLauncher

    return SlurmLauncher(**keys)


def jobs() -> int:
    """The default number of runs that a sweep trains in parallel: ``GOFAU_JOBS`` if set; else 1
    with a GPU, or in processes that train one run together; else one per core."""
    if number := wished():
        return number
    if "TORCHELASTIC_RUN_ID" in os.environ or has_gpu():
        return 1
    return cores()
