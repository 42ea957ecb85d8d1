"""Hydra's basic sweeper, with a quicker check of a sweep before it starts."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gofau.cli.parallel import check_grid, check_parallel
from gofau.cli.preflight import preflight
from gofau.cli.watch import watch
from gofau.config.axes import overrides, points
from gofau.config.composer import Composer
from gofau.config.typed import check_sweep
from gofau.errors import UserError

SLURM = "hydra_plugins.gofau.SlurmLauncher"


class AxesSweeper(Sweeper):
    """Checks each value of each axis once before a sweep, where Hydra composes each combination: 14
    configurations for a sweep of 5 × 4 × 5 runs instead of 100. An error that only a combination
    has is found when its run starts. Configurations of runs that differ only in values are copied
    and changed, not composed anew (`gofau.config.composer`).

    Args:
        arms: small grids whose union is crossed with the axes (`gofau.config.axes`).
        more: the keys of Hydra's basic sweeper.
    """

    def __init__(self, arms: Sequence[Mapping[str, Any]] = (), **more: Any) -> None:
        # Imported here, and an attribute instead of a base class: Hydra executes that module again
        # whenever it looks for plugins, and a subclass of the previous class would break.
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        self._basic = BasicSweeper(**more)
        self.params, self.arms = more.get("params") or {}, arms
        # `sweep` composes each value before it calls the basic sweeper, which need not repeat it.
        self._basic.validate_batch_is_legal = lambda batch: None
        self._basic.split_arguments = self._batches

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        _require(config.hydra.launcher["_target_"])
        self.config = config
        self.hydra_context = HydraContext(
            config_loader=Composer(hydra_context.config_loader.get_search_path()),
            callbacks=hydra_context.callbacks,
        )
        self._basic.setup(
            hydra_context=self.hydra_context, task_function=task_function, config=config
        )
        self.launcher = self._basic.launcher

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of the run with these overrides."""
        assert self.config is not None
        assert self.hydra_context is not None
        return self.hydra_context.config_loader.load_sweep_config(self.config, [*overrides])

    def sweep(self, arguments: list[str]) -> Any:
        """Check what the runs share, then run them."""
        config = self.config
        assert config is not None
        assert self.hydra_context is not None
        loader: Any = self.hydra_context.config_loader
        check_grid(self.params, self.arms)
        words = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        check_sweep(OverridesParser.create(loader).parse_overrides(words))
        check_parallel(config.hydra)
        runs = self._runs(arguments)
        preflight(config.hydra.launcher["_target_"], runs, self.compose, loader.repository)
        self._typed = arguments
        with watch(config, runs):
            return self._basic.sweep(arguments)

    def _runs(self, arguments: Sequence[str]) -> list[list[str]]:
        assert self.hydra_context is not None
        parser = OverridesParser.create(self.hydra_context.config_loader)
        fixed, swept = points(parser, self.params, self.arms, arguments)
        return [overrides(fixed | point) for point in swept]

    def _batches(self, overrides: Any, max_batch_size: int | None) -> list[list[list[str]]]:
        """In place of the basic sweeper's ``split_arguments``, which knows no arms."""
        runs = self._runs(self._typed)
        size = max_batch_size or max(len(runs), 1)
        return [runs[i : i + size] for i in range(0, len(runs), size)]


def _require(launcher: str) -> None:
    """Raise a `UserError` if our launcher's package is not installed: Hydra would wrap the error of
    a launcher that cannot be made in one of its own."""
    if launcher == SLURM and find_spec("hydra_plugins.hydra_submitit_launcher") is None:
        raise UserError(
            "hydra/launcher=slurm needs hydra-submitit-launcher: pip install 'gofau[launchers]'"
        )
