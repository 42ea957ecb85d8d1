"""What a logger does."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, final

from gofau.runs import State

Metrics = Mapping[str, float]
"""Numbers by name, as in metrics.csv."""


class Logger(ABC):
    """Takes one row of numbers per epoch. Opens what it writes to when it is made.

    A subclass is named by the ``_target_`` of a file in configs/logger, and called with keyword
    arguments: ``config``, the settled configuration; ``folder``, the run's folder, which may not
    exist yet; ``resume``, whether the run goes on from a checkpoint; and the other keys of its
    file. It may raise: whoever calls it goes through `gofau.loggers.Guarded`.
    """

    @abstractmethod
    def log(self, row: Metrics, step: int) -> None:
        """Take what was measured in one epoch.

        Args:
            row: numbers by their names in metrics.csv, without those that are missing.
            step: the epoch, from 1.
        """

    @abstractmethod
    def finish(self, state: State, result: Metrics) -> None:
        """Write down how the run ended, and close. Called once, however the run ended.

        Args:
            state: done, diverged, failed or interrupted.
            result: the numbers of the run's status.json; empty unless it is done or diverged.
        """


@final
class Nothing(Logger):
    """For ``logger=csv``: the run writes its metrics.csv itself."""

    def __init__(self, **given: Any) -> None:
        """Needs nothing of what it is given."""

    def log(self, row: Metrics, step: int) -> None:
        pass

    def finish(self, state: State, result: Metrics) -> None:
        pass
