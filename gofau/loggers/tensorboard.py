"""Writes TensorBoard event files to ``<run>/tensorboard``. ``tensorboard --logdir runs`` shows
them."""

import shutil
from pathlib import Path
from typing import Any, final

from torch.utils.tensorboard import SummaryWriter

from gofau.loggers.base import Logger, Metrics
from gofau.runs import State


@final
class TensorBoard(Logger):
    """Writes one curve per column of metrics.csv, and the test results as a point at the end.

    Args:
        config: not used.
        folder: the run's folder.
        resume: continue the existing curves instead of replacing them.
    """

    def __init__(self, *, config: dict[str, Any], folder: Path, resume: bool) -> None:
        self._folder = folder / "tensorboard"
        self._resume = resume
        self._writer: SummaryWriter | None = None
        self._step = 0
        if not resume:
            shutil.rmtree(self._folder, ignore_errors=True)

    def log(self, row: Metrics, step: int) -> None:
        writer = self._open(step)
        for key, value in row.items():
            writer.add_scalar(key, value, step)
        writer.flush()
        self._step = step

    def finish(self, state: State, result: Metrics) -> None:
        if self._writer is None:
            return
        for key, value in result.items():
            if key.startswith("test/"):
                self._writer.add_scalar(key, value, self._step)
        self._writer.close()

    def _open(self, step: int) -> SummaryWriter:
        """Open the writer at the first epoch. A resumed run repeats the epochs after its
        checkpoint, so their earlier points are purged."""
        if self._writer is None:
            purge = step if self._resume else None
            self._writer = SummaryWriter(str(self._folder), purge_step=purge)
        return self._writer
