"""Keeps training going when a logger fails."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

from gofau.loggers.base import Logger
from gofau.runs import State

_LOG = logging.getLogger(__name__)


class Guarded:
    """A context manager around a logger. If the logger raises, there is one warning, and the logger
    is dropped.

    If the run raises, the logger is finished as failed or interrupted; otherwise `finish` says how
    the run ended. Ctrl-C is not the logger's failure, and is passed on.

    Args:
        name: as in ``logger=<name>``, for the warning.
        make: opens the logger; called when the context is entered.

    >>> with Guarded("broken", lambda: 1 / 0) as logger:
    ...     logger.log({"train/loss": 0.5}, step=1)
    ...     print("training goes on")
    training goes on
    """

    def __init__(self, name: str, make: Callable[[], Logger]) -> None:
        self._name = name
        self._make = make
        self._logger: Logger | None = None

    def __enter__(self) -> "Guarded":
        try:
            self._logger = self._make()
        except Exception as e:
            self._drop(e)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        bug = kind is not None and issubclass(kind, Exception)
        self.finish("failed" if bug else "interrupted", {})

    def log(self, row: Mapping[str, Any], step: int) -> None:
        """Call `Logger.log`, without values that are None (such as those of an empty validation
        split)."""
        if self._logger is not None:
            try:
                self._logger.log(_measured(row), step)
            except Exception as e:
                self._drop(e)

    def finish(self, state: State, result: Mapping[str, Any]) -> None:
        """Call `Logger.finish`, the first time only."""
        # Set to None first: leaving the context calls finish once more.
        logger, self._logger = self._logger, None
        if logger is not None:
            try:
                logger.finish(state, _measured(result))
            except Exception as e:
                self._drop(e)

    def _drop(self, error: Exception) -> None:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        _LOG.warning(
            "logger=%s failed and was dropped; metrics.csv is complete (%s)", self._name, reason
        )
        logger, self._logger = self._logger, None
        if logger is not None:
            # It is already broken, but closing it may still free its files and processes.
            with suppress(Exception):
                logger.finish("failed", {})


def _measured(row: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in row.items() if value is not None}
