"""The progress display of a run: a bar with speed and time left in a terminal, else plain lines."""

import math
import multiprocessing
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from gofau.problems import Metric
from gofau.runs.clock import clock

SECONDS = 0.25
"""Between two readings of loss and learning rate for the bar."""


@dataclass(frozen=True)
class Shown:
    """What the display shows about a run.

    Args:
        epochs: number of epochs of the whole run.
        examples: training examples per epoch.
        unit: plural noun for the examples.
        metric: the metric by which the run is judged.
        name: the name of the run.
        now: returns the mean training loss of the epoch so far, and the learning rate. It waits for
            the device, so it is called a few times per second, and only for the bar.
    """

    epochs: int
    examples: int
    unit: str
    metric: Metric
    name: str = ""
    now: Callable[[], tuple[float, float]] = lambda: (math.nan, math.nan)


class Lines:
    """One line per epoch: for logs, pipes and notebooks.

    Args:
        shown: the run.
        done: examples that an earlier start of the run has trained on.
    """

    def __init__(self, shown: Shown, done: int = 0) -> None:
        self.shown = shown
        self.done = done

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, kind: type | None, value: object, trace: TracebackType | None) -> None:
        pass

    def batch(self, examples: int) -> None:
        """Called after a batch of this many examples."""

    def epoch(self, row: dict[str, Any]) -> None:
        """Called after an epoch; ``row`` is what the trainer measured."""
        print(self.text(row), flush=True)

    def text(self, row: dict[str, Any]) -> str:
        epochs, metric = self.shown.epochs, self.shown.metric
        left = row["seconds"] / row["epoch"] * (epochs - row["epoch"])
        return (
            f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}"
            f"  train {_score(row, 'train', metric)}  val {_score(row, 'val', metric)}"
            f"  {self.speed(row['examples_per_second'])}  {clock(left)} left"
        )

    def speed(self, examples: float) -> str:
        """Such as ``1,234 images/s``."""
        return f"{examples:,.0f} {self.shown.unit}/s"


class Silent(Lines):
    """No display at all."""

    def epoch(self, row: dict[str, Any]) -> None:
        pass


class Bar(Lines):
    """A bar over the whole run, in a terminal, with one line per epoch above it."""

    def __enter__(self) -> "Bar":
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TaskProgressColumn(show_speed=False),
            TextColumn("{task.fields[now]}"),
            TimeRemainingColumn(),
            console=Console(),
            transient=True,
        )
        self.progress.start()
        total = self.shown.epochs * self.shown.examples
        self.task = self.progress.add_task(
            self.shown.name, total=total, completed=self.done, now=""
        )
        self._read = -math.inf
        return self

    def __exit__(self, kind: type | None, value: object, trace: TracebackType | None) -> None:
        self.progress.stop()

    def batch(self, examples: int) -> None:
        self.progress.update(self.task, advance=examples)
        now = time.monotonic()
        if now - self._read >= SECONDS:
            self._read = now
            self.progress.update(self.task, now=self._now())

    def _now(self) -> str:
        loss, lr = self.shown.now()
        speed = self.progress.tasks[0].speed
        parts = [f"loss {loss:.4f}", f"lr {lr:.3g}", *([self.speed(speed)] if speed else [])]
        return "  ".join(parts)

    def epoch(self, row: dict[str, Any]) -> None:
        self.progress.console.print(self.text(row), highlight=False)


def show(kind: str, shown: Shown, done: int = 0) -> Lines:
    """The display for ``trainer.progress``: auto is a bar in a terminal, lines elsewhere, and no
    display when several runs of a sweep are carried out at once."""
    if kind == "auto" and multiprocessing.parent_process() is not None:
        kind = "none"  # one of several runs at once, whose lines would be mixed up
    elif kind == "auto":
        kind = "bar" if sys.stdout.isatty() else "lines"
    return {"bar": Bar, "lines": Lines, "none": Silent}[kind](shown, done)


def _score(row: dict[str, Any], part: str, metric: Metric) -> str:
    """The loss, and the metric in brackets unless it is the loss."""
    loss, value = row[f"{part}/loss"], row[f"{part}/{metric.name}"]
    if loss is None:
        return "—"
    score = f"{value:{metric.format}}"
    return score if metric.name == "loss" else f"{loss:.4f} ({score})"
