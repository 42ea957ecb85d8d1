"""What is looked at before the first run of a sweep: a fault that many runs would share is told
once, and nothing is written."""

import shutil
from collections.abc import Callable, Iterable, Sequence

from omegaconf import DictConfig, open_dict

from gofau.config.schema import Config, check, resolve
from gofau.errors import UserError
from gofau.runs import Run
from gofau.runs.contents import known
from gofau.runs.fingerprint import fingerprint
from gofau.runs.outcome import finished

Overrides = Sequence[str]
Compose = Callable[[Overrides], DictConfig]


def preflight(launcher: str, runs: Sequence[Overrides], compose: Compose) -> None:
    """Look at the launcher, at the values and at the data of a sweep.

    Args:
        launcher: the import name of Hydra's launcher.
        runs: the overrides of each run.
        compose: overrides → the run's configuration.

    Raises:
        UserError: the first fault.
    """
    _look_at_launcher(launcher)
    # Each value of each axis once. What a combination alone can get wrong is told by its run.
    first = [_settle(compose(run)) for run in each_value_once(runs)]
    configs = [config for config in first if config is not None]
    if all(_is_done(config) for config in configs):
        return
    for config in configs:
        check(config)
    _look_at_data(configs, runs, compose)


def each_value_once(runs: Iterable[Overrides]) -> list[Overrides]:
    """Runs that between them have every override: 14 for a sweep of 5 × 4 × 7 runs.

    >>> each_value_once([["a=1", "b=1"], ["a=1", "b=2"], ["a=2", "b=1"], ["a=2", "b=2"]])
    [['a=1', 'b=1'], ['a=1', 'b=2'], ['a=2', 'b=1']]
    """
    seen: set[str] = set()
    found = []
    for overrides in runs:
        if not seen.issuperset(overrides):
            found.append(overrides)
            seen.update(overrides)
    return found


def _settle(cfg: DictConfig) -> Config | None:
    """None for an experiment in two variables, which has neither data nor run folders."""
    with open_dict(cfg):
        cfg.pop("hydra", None)
    if cfg.get("toy") or "trainer" not in cfg:
        return None
    return resolve(cfg)


def _look_at_launcher(launcher: str) -> None:
    if launcher.endswith(".SlurmLauncher") and shutil.which("sbatch") is None:
        raise UserError(
            "hydra/launcher=slurm: there is no Slurm on this machine (no sbatch on the PATH); type"
            " the command on a login node, or leave the launcher out"
        )


def _look_at_data(configs: list[Config], runs: Sequence[Overrides], compose: Compose) -> None:
    for dataset in {str(config["dataset"]): config["dataset"] for config in configs}.values():
        if known(dataset) is not None:  # it is there, and was read
            continue
        one = next(config for config in configs if config["dataset"] == dataset)
        from gofau.session.look import look  # imports torch, which a sweep that is done can spare

        try:
            look(one)
        except UserError:
            every = (_settle(compose(run)) for run in runs)
            mine = (config for config in every if config and config["dataset"] == dataset)
            if not all(_is_done(config) for config in mine):  # those need no data
                raise


def _is_done(config: Config) -> bool:
    silent = Run(config, writes=False)
    today = fingerprint(config, known(config["dataset"]))
    return finished(silent, today) is not None
