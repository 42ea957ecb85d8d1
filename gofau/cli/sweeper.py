"""Hydra's basic sweeper, with a quicker check of a sweep before it starts."""

from collections.abc import Sequence
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gofau.config.composer import Composer


class AxesSweeper(Sweeper):
    """Composes each value of each axis once beforehand, where Hydra composes each combination: 14
    configurations for a sweep of 5 × 4 × 5 runs rather than 100. An error that only a combination
    has is found when its run is started. Runs that differ only in values are then composed from one
    another (`gofau.config.composer`).

    Args:
        more: the keys of Hydra's basic sweeper.
    """

    def __init__(self, **more: Any) -> None:
        # Imported here, and held rather than inherited from: Hydra runs that module again whenever
        # it looks for plugins, and a class that inherits from the one of before breaks.
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        self._basic = BasicSweeper(**more)
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
        return self._basic.sweep(arguments)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Raise Hydra's error for a value that no run can be composed with."""
        seen: set[str] = set()
        new = []
        for overrides in batch:
            if not seen.issuperset(overrides):
                new.append(overrides)
                seen.update(overrides)
        super().validate_batch_is_legal(new)
