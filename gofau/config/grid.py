"""Expands a sweep to the configurations of its runs, without running them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from gofau.config.axes import Point, points
from gofau.config.axes import overrides as as_overrides
from gofau.config.composer import Composer
from gofau.config.hydras import BASE
from gofau.config.schema import Config, settle
from gofau.errors import UserError


class _Sweep(NamedTuple):
    """A sweep before its runs are composed: what loads them, its own configuration, what its runs
    have in common, and what is each run's own."""

    loader: Composer
    whole: DictConfig
    fixed: Point
    swept: list[Point]


def grid(configs: Path, overrides: Sequence[str]) -> Iterator[tuple[dict[str, str], Config]]:
    """Yield the runs that ``python train.py -m OVERRIDES`` would carry out.

    Args:
        configs: the folder of configs.
        overrides: as typed. They may hold sweeps (``seed=0,1``), and an experiment with its own
            grid (`gofau.config.axes`).

    Yields:
        The swept keys with their values, and the settled configuration, for each run.

    Raises:
        UserError: the experiment is one in two variables, which has no runs; or a mistake in the
            overrides.
    """
    with _sweep(configs, overrides) as sweep:
        for point in sweep.swept:
            run = as_overrides(sweep.fixed | point)
            config = sweep.loader.load_sweep_config(sweep.whole, run)
            with open_dict(config):
                del config["hydra"]
            yield point, settle(config)


def size(configs: Path, overrides: Sequence[str]) -> int:
    """The number of runs that `grid` would yield. None is composed: each takes 30 ms."""
    with _sweep(configs, overrides) as sweep:
        return len(sweep.swept)


@contextmanager
def _sweep(configs: Path, overrides: Sequence[str]) -> Iterator[_Sweep]:
    GlobalHydra.instance().clear()  # Hydra allows one initialisation at a time
    with initialize_config_dir(str(configs.resolve()), **BASE):
        parser = OverridesParser.create()
        typed = parser.parse_overrides([*overrides])
        first = [o.input_line or "" for o in typed if not o.is_sweep_override()]
        loader = Composer(GlobalHydra.instance().config_loader().get_search_path())
        whole = loader.load_configuration(
            "train", [line for line in first if line], RunMode.MULTIRUN
        )
        if whole.get("toy"):
            raise UserError(
                f"experiment={whole.toy.name} is one in two variables, which has no runs: its"
                " commands are python -m gofau.toy and python -m gofau.report.toy"
            )
        sweeper = whole.hydra.sweeper
        fixed, swept = points(parser, sweeper.params or {}, sweeper.get("arms") or [], overrides)
        yield _Sweep(loader, whole, fixed, swept)
