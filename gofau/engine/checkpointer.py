"""When a run is saved, and when it is stopped before its end."""

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

SAVE, TIME_IS_UP = -1, 0  # requests besides signals, whose numbers are positive
TOGETHER = 16
"""Batches between two points at which processes that train together agree whether to stop."""


class OutOfTime(Exception):
    """The sweep's time is over; the run has been saved."""


class Checkpointer:
    """Saves a trainer's state at intervals, and stops it on request. Call `batch` after every batch
    and `epoch` after every epoch.

    Args:
        trainer: the trainer to save; only the first process writes.
        folder: folder of the checkpoints.
        identity: that of the run.
        every_epochs, every_seconds: how often to save; None for not at all.
        deadline: when to stop, in seconds of `time.time`; None for never.
        pause: called with True when the run is about to stop, and with False if it continues.
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
        """Restore the newest checkpoint; returns False if there is none."""
        state = load(self.folder, self.identity)
        # All processes must resume from the same step, even if a shared file system lags behind.
        step = -1 if state is None else state["trainer"]["progress"]["step"]
        if self.trainer.world.agree(step) != step:
            raise RuntimeError("processes of one run see different checkpoints")
        if state is None:
            return False
        self.trainer.load_state_dict(state["trainer"])
        set_random_state(state["random"])
        return True

    def save(self) -> None:
        """Write a checkpoint. A full disk does not stop the run: it is logged, and tried again."""
        self._saved = time.monotonic()
        # In all processes, since the state holds sums over them.
        state = {"trainer": self.trainer.state_dict(), "random": random_state()}
        if not self.trainer.world.first:
            return
        try:
            save(self.folder, self.identity, self.trainer.step, state)
        except OSError as e:
            log.warning("no checkpoint was written in %s: %s", self.folder, e.strerror or e)

    def batch(self) -> None:
        """Called after every batch: save or stop if it is time to.

        Raises:
            OutOfTime, KeyboardInterrupt, SystemExit: the run has been saved and must stop.
        """
        request = self._request()
        if request == SAVE:
            self.save()
        elif request is not None:
            self._stop(request)

    def epoch(self) -> None:
        """Called after every epoch, once it has been recorded: save if it is time to."""
        if self.every_epochs is not None and self.trainer.epoch % self.every_epochs == 0:
            self.save()

    def remove(self) -> None:
        """Remove all checkpoints: the run is over, or starts from the beginning."""
        if self.trainer.world.first:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _request(self) -> int | None:
        """A signal's number, `TIME_IS_UP`, `SAVE` or None (continue); the same in all processes."""
        if self.trainer.world.size == 1:
            return self._own_request()
        if self.trainer.step % TOGETHER:
            return None
        requests = self.trainer.world.all(self._own_request())
        # The highest request is the most urgent: a signal before TIME_IS_UP before SAVE.
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
