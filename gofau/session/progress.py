"""What a run shows while it works: a bar with speed and time left, or plain lines elsewhere."""

import multiprocessing
import sys
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


class Lines:
    """A line an epoch: for logs, pipes and notebooks.

    Args:
        epochs: how many there will be.
        images: training images an epoch.
        done: images that an earlier start of the run has trained on.
    """

    def __init__(self, epochs: int, images: int, done: int = 0) -> None:
        self.epochs = epochs
        self.images = images
        self.done = done

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, kind: type | None, value: object, trace: TracebackType | None) -> None:
        pass

    def batch(self, images: int) -> None:
        """A batch of so many images is done."""

    def epoch(self, row: dict[str, Any]) -> None:
        """An epoch is done; ``row`` is what the trainer measured."""
        print(self.text(row), flush=True)

    def text(self, row: dict[str, Any]) -> str:
        left = row["seconds"] / row["epoch"] * (self.epochs - row["epoch"])
        return (
            f"epoch {row['epoch']:>{len(str(self.epochs))}}/{self.epochs}"
            f"  train {_score(row, 'train')}  val {_score(row, 'val')}"
            f"  {row['images_per_second']:,.0f} images/s  {_clock(left)} left"
        )


class Silent(Lines):
    """Nothing at all."""

    def epoch(self, row: dict[str, Any]) -> None:
        pass


class Bar(Lines):
    """A bar over the whole run, in a terminal; the epochs' lines scroll by above it."""

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
        total = self.epochs * self.images
        self.task = self.progress.add_task("training", total=total, completed=self.done, speed="")
        return self

    def __exit__(self, kind: type | None, value: object, trace: TracebackType | None) -> None:
        self.progress.stop()

    def batch(self, images: int) -> None:
        speed = self.progress.tasks[0].speed
        text = f"{speed:,.0f} images/s" if speed else ""
        self.progress.update(self.task, advance=images, speed=text)

    def epoch(self, row: dict[str, Any]) -> None:
        self.progress.console.print(self.text(row), highlight=False)


def show(kind: str, epochs: int, images: int, done: int = 0) -> Lines:
    """The display for ``trainer.progress``: auto is a bar in a terminal, lines elsewhere,
    and nothing where several runs of a sweep go on at once."""
    if kind == "auto" and multiprocessing.parent_process() is not None:
        kind = "none"  # one of several runs at once: their lines would be a jumble
    elif kind == "auto":
        kind = "bar" if sys.stdout.isatty() else "lines"
    return {"bar": Bar, "lines": Lines, "none": Silent}[kind](epochs, images, done)


def _score(row: dict[str, Any], part: str) -> str:
    loss, acc = row[f"{part}/loss"], row[f"{part}/acc"]
    return "—" if loss is None else f"{loss:.4f} ({acc:.1%})"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
