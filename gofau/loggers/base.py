"""The interface of a logger."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from gofau.runs import State

Metrics = Mapping[str, float]
"""Name → number, with the names of metrics.csv."""


class Logger(ABC):
    """Takes one row of numbers per epoch. The constructor opens what it writes to.

    A subclass is named by the ``_target_`` of a file in configs/logger, and is called with keyword
    arguments: ``config``, the settled configuration; ``folder``, the run's folder, which may not
    exist yet; ``resume``, whether the run resumes from a checkpoint; and the other keys of its
    file. It may raise, since it is only called through `gofau.loggers.Guarded`.
    """

    @abstractmethod
    def log(self, row: Metrics, step: int) -> None:
        """Log the numbers of one epoch.

        Args:
            row: name in metrics.csv → number; missing numbers are left out.
            step: the epoch, from 1.
        """

    @abstractmethod
    def finish(self, state: State, result: Metrics) -> None:
        """Log how the run ended, and close. Called once, in whatever state the run ended.

        Args:
            state: done, diverged, failed or interrupted.
            result: the result in the run's status.json; empty unless it is done or diverged.
        """


@final
class Nothing(Logger):
    """Does nothing. For ``logger=csv``, since the run itself writes its metrics.csv."""

    def __init__(
        self, *, config: Any = None, folder: Path | None = None, resume: bool = False
    ) -> None:
        """Ignore all arguments; other keys than every logger is given are refused."""

    def log(self, row: Metrics, step: int) -> None:
        pass

    def finish(self, state: State, result: Metrics) -> None:
        pass
