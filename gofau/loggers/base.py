"""What a logger does."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import final

from gofau.runs import State

Row = Mapping[str, float]


class Logger(ABC):
    """Takes a row of numbers an epoch. Opens what it writes to when it is made.

    It may raise: whoever calls it goes through `gofau.loggers.Guarded`.
    """

    @abstractmethod
    def log(self, row: Row, step: int) -> None:
        """Take what an epoch measured.

        Args:
            row: numbers by their names in metrics.csv, without those that are missing.
            step: the epoch, from 1.
        """

    @abstractmethod
    def finish(self, state: State, result: Row) -> None:
        """Write down how the run ended, and close. Called once, whatever happened.

        Args:
            state: done, diverged, failed or interrupted.
            result: the numbers of the run's status.json; empty unless it came to its end.
        """


@final
class Nothing(Logger):
    """For ``logger=csv``: the run writes its metrics.csv itself."""

    def log(self, row: Row, step: int) -> None:
        pass

    def finish(self, state: State, result: Row) -> None:
        pass
