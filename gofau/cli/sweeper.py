"""Hydra's basic sweeper, with a quicker check of a sweep before it starts."""

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gofau.cli.preflight import check_parallel, each_value_once, preflight
from gofau.config.composer import Composer
from gofau.config.typed import check_sweep


class AxesSweeper(Sweeper):
    """Checks each value of each axis once before a sweep, where Hydra composes each combination: 14
    configurations for a sweep of 5 × 4 × 5 runs instead of 100. An error that only a combination
    has is found when its run starts. Configurations of runs that differ only in values are copied
    and changed, not composed anew (`gofau.config.composer`).

    Args:
        more: the keys of Hydra's basic sweeper.
    """

    def __init__(self, **more: Any) -> None:
        # Imported here, and an attribute instead of a base class: Hydra executes that module again
        # whenever it looks for plugins, and a subclass of the previous class would break.
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        self._basic = BasicSweeper(**more)
        self.params = more.get("params") or {}
        self._basic.validate_batch_is_legal = self.validate_batch_is_legal

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.config = config
        self.hydra_context = HydraContext(
            config_loader=Composer(hydra_context.config_loader.get_search_path()),
            callbacks=hydra_context.callbacks,
        )
        self._basic.setup(
            hydra_context=self.hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Check what the runs share, then run them."""
        config, context = self.config, self.hydra_context
        assert config is not None
        assert context is not None
        loader = context.config_loader
        words = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        parsed = OverridesParser.create(loader).parse_overrides(words)
        check_sweep(parsed)
        check_parallel(config.hydra)
        batches = self._basic.split_arguments(parsed, self._basic.max_batch_size)
        preflight(
            config.hydra.launcher["_target_"],
            [run for batch in batches for run in batch],
            lambda overrides: loader.load_sweep_config(config, [*overrides]),
            loader.repository,
        )
        return self._basic.sweep(arguments)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Raise Hydra's error for a value with which no run can be composed."""
        super().validate_batch_is_legal(each_value_once(batch))
