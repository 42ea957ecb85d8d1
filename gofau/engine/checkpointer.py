"""When a run is saved, and when it stops before its end."""

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gofau.engine.checkpoint import load, random_state, save, set_random_state
from gofau.engine.signals import Signals
from gofau.engine.trainer import Trainer

log = logging.getLogger(__name__)

SAVE, TIME_IS_UP = -1, 0  # beside the signals' numbers, which are positive
TOGETHER = 16
"""Batches after which processes that train together ask each other whether to stop."""


class OutOfTime(Exception):
    """The sweep's time is over; the run is saved."""


class Checkpointer:
    """Saves a trainer's state from time to time, and stops it when asked to. It is told of every
    batch and every epoch.

    Args:
        trainer: whose state is saved; the first process writes.
        folder: where checkpoints go.
        identity: the run's.
        every_epochs, every_seconds: how often to save; None for not at all.
        deadline: when to stop, in seconds of `time.time`; None for never.
        pause: called with True when the run is about to stop, and with False if it goes on.
    """

    def __init__(
        self,
        trainer: Trainer,
        folder: Path,
        identity: str,
        *,
        every_epochs: int | None = None,
        every_seconds: float | None = None,
        deadline: float | None = None,
        pause: Callable[[bool], Any] = lambda stopping: None,
    ) -> None:
        self.trainer, self.folder, self.identity = trainer, folder, identity
        self.every_epochs, self.every_seconds = every_epochs, every_seconds
        self.deadline, self.pause = deadline, pause
        self.signals = Signals()
        self._saved = time.monotonic()

    def resume(self) -> bool:
        """Go back to the newest checkpoint; False where there is none."""
        state = load(self.folder, self.identity)
        # All processes must go on from the same step, also when a file system lags behind.
        step = -1 if state is None else state["trainer"]["progress"]["step"]
        if self.trainer.world.agree(step) != step:
            raise RuntimeError("processes of one run see different checkpoints")
        if state is None:
            return False
        self.trainer.load_state_dict(state["trainer"])
        set_random_state(state["random"])
        return True

    def save(self) -> None:
        """Write a checkpoint. A full disk stops no run: it is logged, and tried again later."""
        self._saved = time.monotonic()
        state = {"trainer": self.trainer.state_dict(), "random": random_state()}
        if not self.trainer.world.first:
            return
        try:
            save(self.folder, self.identity, self.trainer.step, state)
        except OSError as e:
            log.warning("no checkpoint was written in %s: %s", self.folder, e.strerror or e)

    def batch(self) -> None:
        """A batch is done.

        Raises:
            OutOfTime, KeyboardInterrupt, SystemExit: the run is saved and is to stop.
        """
        request = self._request()
        if request == SAVE:
            self.save()
        elif request is not None:
            self._stop(request)

    def epoch(self) -> None:
        """An epoch is done, and written down."""
        if self.every_epochs is not None and self.trainer.epoch % self.every_epochs == 0:
            self.save()

    def remove(self) -> None:
        """The run is over: nothing to go on from."""
        if self.trainer.world.first:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _request(self) -> int | None:
        """A signal's number, `TIME_IS_UP`, `SAVE`, or None to go on; the same in all processes."""
        if self.trainer.world.size == 1:
            return self._own_request()
        if self.trainer.step % TOGETHER:
            return None
        requests = self.trainer.world.all(self._own_request())
        return max((each for each in requests if each is not None), default=None)

    def _own_request(self) -> int | None:
        if self.signals.received is not None:
            return self.signals.received
        if self.deadline is not None and time.time() > self.deadline:
            return TIME_IS_UP
        due = self.every_seconds is not None and (
            time.monotonic() - self._saved >= self.every_seconds
        )
        return SAVE if due else None

    def _stop(self, request: int) -> None:
        self.save()
        self.pause(True)
        if request == TIME_IS_UP:
            raise OutOfTime
        self.signals.answer(request)
        self.pause(False)
