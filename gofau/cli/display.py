"""How a sweep is shown: one live line in a terminal, a few plain lines elsewhere, or not at all."""

import sys
import time

from gofau.cli.tally import Tally

STEPS = 10
"""Number of lines about its progress that a sweep adds to a log, at most."""


class Silent:
    """Shows only what the user must see."""

    def start(self) -> None:
        """Called before the first run."""

    def stop(self) -> None:
        """Called after the last one."""

    def update(self, tally: Tally) -> None:
        """Show how far the sweep is; called twice per second."""

    def line(self, text: str) -> None:
        """Show a line that stays: the header, or a row of the table."""

    def warn(self, text: str, error: bool = False) -> None:
        """Show a line that the user must see."""
        print(text, file=sys.stderr if error else sys.stdout, flush=True)


class Plain(Silent):
    """For logs and pipes: a line whenever another tenth of the runs is over."""

    shown = 0

    def update(self, tally: Tally) -> None:
        step = tally.ended() * STEPS // tally.total
        # A small sweep has several steps per run, a large one several runs per step.
        if step > self.shown:
            self.shown = step
            self.line(tally.text(time.monotonic()))

    def line(self, text: str) -> None:
        print(text, flush=True)


class Bar(Silent):
    """For terminals: one line with a bar, which is replaced as the sweep goes on."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(highlight=False, markup=False, emoji=False)

    def start(self) -> None:
        from rich.live import Live

        self.live = Live(console=self.console, auto_refresh=False, transient=True)
        self.live.start()

    def stop(self) -> None:
        self.live.stop()

    def update(self, tally: Tally) -> None:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=tally.total, completed=tally.progress(), width=20)
        text = f"{tally.text(time.monotonic())}{tally.only()}"
        row.add_row(bar, Text(text, no_wrap=True, overflow="ellipsis"))
        self.live.update(row, refresh=True)

    def line(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)


def display_for(kind: str) -> Silent:
    """The display for ``trainer.progress``: auto is a bar in a terminal, and lines elsewhere."""
    if kind == "auto":
        kind = "bar" if sys.stdout.isatty() else "lines"
    return {"bar": Bar, "lines": Plain}.get(kind, Silent)()
