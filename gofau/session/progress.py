"""The progress display of a run: a bar with speed and time left in a terminal, else plain lines."""

import multiprocessing
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from gofau.problems import Metric


@dataclass(frozen=True)
class Shown:
    """What the display shows about a run.

    Args:
        epochs: number of epochs of the whole run.
        examples: training examples per epoch.
        unit: plural noun for the examples.
        metric: the metric by which the run is judged.
    """

    epochs: int
    examples: int
    unit: str
    metric: Metric


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
            f"  {self.speed(row['examples_per_second'])}  {_clock(left)} left"
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
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(show_speed=False),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=Console(),
            transient=True,
        )
        self.progress.start()
        total = self.shown.epochs * self.shown.examples
        self.task = self.progress.add_task("training", total=total, completed=self.done, speed="")
        return self

    def __exit__(self, kind: type | None, value: object, trace: TracebackType | None) -> None:
        self.progress.stop()

    def batch(self, examples: int) -> None:
        speed = self.progress.tasks[0].speed
        text = self.speed(speed) if speed else ""
        self.progress.update(self.task, advance=examples, speed=text)

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


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
