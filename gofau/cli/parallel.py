"""Checks what a sweep says of its own course: which runs, and how many at once."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig

from gofau.errors import UserError
from gofau.runs.cores import cores

PER_CORE = 16
"""The number of runs at once, per core, from which a machine is more likely to fall over than to be
used better. The most that was tried is 37 small runs that shared a GPU, on 16 cores."""
PRE_DISPATCH = re.compile(r"all|\d+(\s*\*\s*n_jobs)?")
MEMORY_MAPS = (None, "r", "r+", "w+", "c")


def check_parallel(hydra: DictConfig) -> None:
    """Check the launcher's and the sweeper's keys.

    Args:
        hydra: the ``hydra`` section.

    Raises:
        UserError: the number of runs at once, or another key, is out of its range.
    """
    if "JoblibLauncher" in hydra.launcher["_target_"]:
        _check_joblib({str(key): value for key, value in hydra.launcher.items()})
    batch = hydra.sweeper.get("max_batch_size")
    if batch is not None and batch < 1:
        raise UserError(
            f"hydra.sweeper.max_batch_size must be a whole number ≥ 1, or null, got {batch}"
        )


def check_grid(params: Any, arms: Any) -> None:
    """Check that the axes and the arms of a sweep are what `gofau.config.axes` reads.

    Raises:
        UserError: they are not.
    """
    if not isinstance(params, Mapping | DictConfig):
        raise UserError(f"hydra.sweeper.params must be a section, KEY: VALUES, got {params}")
    listed = isinstance(arms, Sequence) and not isinstance(arms, str)
    if not listed or not all(isinstance(arm, Mapping | DictConfig) and arm for arm in arms):
        raise UserError(f"hydra.sweeper.arms must be a list of sections, KEY: VALUES, got {arms}")


def _check_joblib(keys: dict[str, Any]) -> None:
    number, most = keys.get("n_jobs"), PER_CORE * cores()
    if number is not None and not (number == -1 or 1 <= number <= most):
        raise UserError(
            f"hydra.launcher.n_jobs must be the number of runs to train at once, 1 to {most} here"
            f" (or -1: as many as there are cores), got {number}"
        )
    seconds, folder = keys.get("timeout"), keys.get("temp_folder")
    if seconds is not None and not seconds > 0:
        raise UserError(f"hydra.launcher.timeout must be seconds > 0, or null, got {seconds}")
    if keys.get("mmap_mode") not in MEMORY_MAPS:
        raise UserError(f"hydra.launcher.mmap_mode must be r, r+, w+ or c, got {keys['mmap_mode']}")
    if folder is not None and not (os.path.isdir(folder) and os.access(folder, os.W_OK)):
        raise UserError(f"hydra.launcher.temp_folder={folder}: there is no such folder to write to")
    ahead = str(keys.get("pre_dispatch", "all"))
    if not PRE_DISPATCH.fullmatch(ahead):
        raise UserError(
            f"hydra.launcher.pre_dispatch must be all, a number, or 2*n_jobs, got {ahead}"
        )
    from joblib import Parallel  # with the launcher's package only

    try:
        Parallel(**{key: _whole(value) for key, value in keys.items() if not key.startswith("_")})
    except (TypeError, ValueError) as e:
        raise UserError(
            f"hydra.launcher: joblib refuses its keys: {' '.join(str(e).split())}"
        ) from e


def _whole(value: Any) -> Any:
    """A number where a text is one, as the launcher does."""
    return int(value) if isinstance(value, str) and value.isdigit() else value
