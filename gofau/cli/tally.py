"""Counts the runs of a sweep from their events: how many ended how, the speed and the time left."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from gofau.runs.clock import clock
from gofau.runs.events import Event
from gofau.runs.table import epochs_done

ENDED = ("done", "diverged", "failed", "skipped", "interrupted", "left")
# Runs that ended without having been carried out; what the user reads.
WORDS = {"skipped": "locked by another process", "left": "left for the next time"}
SHORT = 0.5
"""Seconds that are too short to measure a speed."""


@dataclass
class Tally:
    """The state of a sweep.

    Args:
        total: number of runs.

    Attributes:
        runs: number of the run → what its events said, of its last start.
        began: when the first run began to train, in seconds. The time before that (processes start
            and import torch, a cluster has a queue) says nothing about the speed.
    """

    total: int
    runs: dict[int, Event] = field(default_factory=dict)
    began: float | None = None
    _made: tuple[float, float] = (0.0, 0.0)

    def take(self, event: Event, now: float) -> None:
        """Take in one event of a run."""
        if self.began is None and "folder" in event:
            self.began = now
        known = self.runs.get(event["run"], {})
        again = event.get("state") == "running" and known.get("state") in ENDED
        self.runs[event["run"]] = event if again else known | event

    def ended(self) -> int:
        """How many runs are over, for this time."""
        return sum(run.get("state") in ENDED for run in self.runs.values())

    def states(self, ended: bool = False) -> str:
        """Such as ``10 done, 2 running, 1 failed``; or only of the runs that have ended."""
        counts = Counter(run.get("state") for run in self.runs.values())
        states = [state for state in ("done", "diverged", "running", *ENDED[2:]) if counts[state]]
        shown = [state for state in states if not ended or state != "running"]
        return ", ".join(f"{counts[state]} {WORDS.get(state, state)}" for state in shown)

    def progress(self) -> float:
        """How many runs are over; a running one counts by its epochs."""
        return self.ended() + sum(map(_share, self.runs.values()))

    def only(self) -> str:
        """The run and its epoch, where only one is running; else nothing."""
        running = [run for run in self.runs.values() if run.get("state") == "running"]
        if len(running) != 1 or "folder" not in running[0]:
            return ""
        folder = Path(running[0]["folder"])
        return f"  {folder.name} epoch {epochs_done(folder)}/{running[0]['epochs']}"

    def pace(self, now: float) -> tuple[float, float] | None:
        """Runs per second, and the seconds left at that speed; None before there is a speed.

        An epoch of a run that has not ended counts as its share of a run. Runs that were done
        before the sweep began say nothing about the speed, and do not count.
        """
        over = [run for run in self.runs.values() if run.get("state") in ENDED]
        share = sum(map(_share, self.runs.values()))
        made = share + sum(
            "before" not in run and run["state"] not in ("skipped", "left") for run in over
        )
        if made != self._made[0]:
            self._made = made, now
        # The speed up to the last epoch or run that ended: else it would fall until the next does.
        passed = self._made[1] - (self.began or 0)
        if self.began is None or passed < SHORT or made == 0:
            return None
        speed = made / passed
        left = (self.total - len(over) - share) / speed - (now - self._made[1])
        return speed, max(left, 0.0)

    def text(self, now: float) -> str:
        """The state of the sweep in one line."""
        pace = self.pace(now)
        parts = [f"{self.ended()}/{self.total} runs", self.states()]
        if pace is not None:
            parts += [_speed(pace[0]), f"{clock(pace[1])} left"]
        return "  ".join(filter(None, parts))


def _share(run: Event) -> float:
    if run.get("state") != "running" or "folder" not in run:
        return 0.0
    return min(epochs_done(Path(run["folder"])) / run["epochs"], 1.0)


def _speed(per_second: float) -> str:
    """Runs per minute; if there are few, runs per hour."""
    minute = 60 * per_second
    return f"{minute:.1f} runs/min" if minute >= 1 else f"{60 * minute:.1f} runs/h"
