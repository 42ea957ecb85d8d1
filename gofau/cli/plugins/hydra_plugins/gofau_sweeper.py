"""Hydra's basic sweeper, which checks a sweep before it starts in less time.

Hydra finds sweepers in modules of ``hydra_plugins``, and nowhere else.
"""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gofau.cli.preflight import each_value_once, preflight
from gofau.config.composer import Composer


class AxesSweeper(BasicSweeper):
    """Composes each value of each axis once beforehand, where Hydra composes each combination: 14
    configurations for a sweep of 5 × 4 × 5 runs rather than 100. What a combination alone can get
    wrong is found when its run is started. Runs that differ in values only are then composed from
    what one of them was (`gofau.config.composer`)."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        quick = HydraContext(
            config_loader=Composer(hydra_context.config_loader.get_search_path()),
            callbacks=hydra_context.callbacks,
        )
        super().setup(hydra_context=quick, task_function=task_function, config=config)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Raise Hydra's error for a value that no run can be composed with."""
        super().validate_batch_is_legal(each_value_once(batch))

    def sweep(self, arguments: list[str]) -> Any:
        """Look first at what the runs share; then run them."""
        assert self.config is not None
        assert self.hydra_context is not None
        config, loader = self.config, self.hydra_context.config_loader
        words = OverridesParser.create(loader).parse_overrides([*self._parse_config(), *arguments])
        runs = [run for batch in self.split_arguments(words, self.max_batch_size) for run in batch]
        preflight(
            config.hydra.launcher._target_,
            runs,
            lambda overrides: loader.load_sweep_config(config, [*overrides]),
        )
        return super().sweep(arguments)
