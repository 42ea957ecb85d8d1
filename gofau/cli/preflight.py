"""Checks a sweep before its first run: an error that many runs would share is reported once, and
nothing is written."""

import re
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from omegaconf import DictConfig, open_dict

from gofau.config.schema import Config, check, resolve
from gofau.config.typed import check_typed, without_effect
from gofau.errors import UserError
from gofau.runs import Run
from gofau.runs.contents import known
from gofau.runs.fingerprint import fingerprint
from gofau.runs.outcome import finished

SEED = re.compile(r"^seed=\d{1,15}$")
"""A seed that needs no check of its own. Checking a run's values takes 20 ms, and it is the seeds
that sweeps have many of."""
Overrides = Sequence[str]
Compose = Callable[[Overrides], DictConfig]


def preflight(launcher: str, runs: Sequence[Overrides], compose: Compose, repository: Any) -> None:
    """Check the launcher, the values and the data of a sweep.

    Args:
        launcher: the import name of Hydra's launcher.
        runs: the overrides of each run.
        compose: overrides → the run's configuration.
        repository: Hydra's, of the files of the configuration.

    Raises:
        UserError: for the first error that is found.
    """
    _look_at_launcher(launcher)
    # Each value of each axis once. An error that only a combination has is found by its own run.
    composed = [compose(run) for run in each_value_once(runs)]
    notes = dict.fromkeys(without_effect(cfg, cfg.hydra) for cfg in composed)
    first = [settled(cfg, repository) for cfg in composed]
    for sentence in filter(None, notes):
        print(f"note: {sentence}", file=sys.stderr)
    configs = [config for config in first if config is not None]
    if all(is_done(config) for config in configs) and _is_last_done(runs, compose):
        return
    for config in configs:
        check(config)
    _look_at_keys(configs)
    _look_at_data(configs, runs, compose)


def _is_last_done(runs: Sequence[Overrides], compose: Compose) -> bool:
    """Whether the last run need not be carried out: it may have a seed that the others lack."""
    try:
        config = settled(compose(runs[-1])) if runs else None
    except UserError:  # of its combination: it will say so itself
        return False
    return config is None or is_done(config)


def each_value_once(runs: Iterable[Overrides]) -> list[Overrides]:
    """Select runs that together contain every override: 14 for a sweep of 5 × 4 × 7 runs. One seed
    stands for all.

    >>> each_value_once([["a=1", "b=1"], ["a=1", "b=2"], ["a=2", "b=1"], ["a=2", "b=2"]])
    [['a=1', 'b=1'], ['a=1', 'b=2'], ['a=2', 'b=1']]
    >>> each_value_once([["seed=0"], ["seed=1"], ["seed=2"]])
    [['seed=0']]
    """
    seen: set[str] = set()
    found: list[Overrides] = []
    for run in runs:
        kinds = [SEED.sub("seed", word) for word in run]
        if not seen.issuperset(kinds):
            found.append(run)
            seen.update(kinds)
    return found


def settled(cfg: DictConfig, repository: Any = None) -> Config | None:
    """Resolve a configuration; None for an experiment in two variables, which has neither data nor
    run folders. With a ``repository`` what was typed is checked."""
    if repository is not None:
        check_typed(cfg, cfg.hydra, repository)
    with open_dict(cfg):
        cfg.pop("hydra", None)
    if cfg.get("toy") or "trainer" not in cfg:
        return None
    return resolve(cfg)


def _look_at_launcher(launcher: str) -> None:
    if launcher.endswith(".SlurmLauncher") and shutil.which("sbatch") is None:
        raise UserError(
            "hydra/launcher=slurm: there is no Slurm on this machine (no sbatch on the PATH); run"
            " the command on a login node, or remove the launcher from it"
        )


def _look_at_keys(configs: list[Config]) -> None:
    from gofau.session.look import look_at_keys  # here, as a finished sweep need not import torch

    for config in configs:
        look_at_keys(config)


def _look_at_data(configs: list[Config], runs: Sequence[Overrides], compose: Compose) -> None:
    for dataset in {str(config["dataset"]): config["dataset"] for config in configs}.values():
        if known(dataset) is not None:  # its hash is known, so it exists and was read
            continue
        one = next(config for config in configs if config["dataset"] == dataset)
        from gofau.session.look import look  # here, as a finished sweep need not import torch

        try:
            look(one)
        except UserError:
            every = (settled(compose(run)) for run in runs)
            mine = (config for config in every if config and config["dataset"] == dataset)
            if not all(is_done(config) for config in mine):  # finished runs need no data
                raise


def is_done(config: Config) -> bool:
    """Whether a run need not be carried out, since it is finished."""
    silent = Run(config, writes=False)
    today = fingerprint(config, known(config["dataset"]))
    return finished(silent, today) is not None
