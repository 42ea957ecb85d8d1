"""Shows a sweep while it goes on: what it is, how far it is, and a table of its results."""

import math
import os
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Event as Flag
from threading import Thread

from omegaconf import DictConfig

from gofau.cli.arms import axes, table
from gofau.cli.display import Silent, display_for
from gofau.cli.tally import Tally
from gofau.runs.clock import clock
from gofau.runs.events import Event, Events

SECONDS = 0.5
"""Between two looks at the events of the runs."""
HERE = ("BasicLauncher", "JoblibLauncher")
"""Launchers whose runs print to this process's terminal or log, and so are muted."""
AWAY = ("SlurmLauncher", "LocalLauncher")
"""Launchers (of submitit) whose runs print to files of their own."""


class Watch:
    """Shows runs with records, which are carried out inside the block.

    Args:
        config: the configuration of the sweep.
        runs: the overrides of each run; the caller may add more inside the block.
        header: the line about what is carried out.
        total: number of runs in the end.
        part: the values of the table: ``test``, or ``val`` with the best first.
    """

    def __init__(
        self,
        config: DictConfig,
        runs: list[Sequence[str]],
        header: str,
        total: int,
        part: str = "test",
    ) -> None:
        self.runs, self.header, self.part = runs, header, part
        self.display: Silent = display_for(config.trainer.progress)
        mute = _launcher(config) in HERE
        name = f"{os.getpid()}-{time.time_ns()}.events"
        self.events = Events(Path(config.paths.runs_dir, ".sweep", name), mute)
        self.tally, self.began = Tally(total), time.monotonic()
        self._seen: Counter[str] = Counter()
        self._over = Flag()
        self._thread = Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> "Watch":
        self.events.__enter__()  # first: it fails where nothing can be written
        self.display.line(self.header)
        self.display.start()
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, value: object, trace: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()
        self.display.stop()
        self.events.__exit__()
        for line in self._summary() if kind is None else [self._states()]:
            self.display.line(line)

    def _look_on(self) -> None:
        while not self._over.wait(SECONDS):
            self._look()

    def _look(self) -> None:
        for event in self.events.new():
            self.tally.take(event, time.monotonic())
            self._warn(event)
        self.display.update(self.tally)

    def _warn(self, event: Event) -> None:
        """Show what is out of the ordinary: the first of its kind at once, the number at the
        end."""
        kind = event.get("failure") or event.get("warning") or _odd(event)
        if kind:
            self._seen[kind] += 1
            if self._seen[kind] == 1 and "line" in event:
                self.display.warn(event["line"], error="failure" in event)

    def _summary(self) -> list[str]:
        lines = [self._states()]
        done = [run["before"] for run in self.tally.runs.values() if "before" in run]
        places = Counter(str(_place(Path(path))) for path in done)
        lines += [f"{n} done already in {place}" for place, n in places.items()]
        warned = Counter(
            f"{run['warning']}{'' if 'before' in run else ': run again'}"
            for run in self.tally.runs.values()
            if run.get("warning")
        )
        lines += [f"{n} done already, but {why}" for why, n in warned.items() if n > 1]
        return lines + table(self.runs, self.tally.runs, self.part)

    def _states(self) -> str:
        waiting = self.tally.total - self.tally.ended()
        more = f", {waiting} not begun or not ended" if waiting else ""
        passed = clock(time.monotonic() - self.began)
        states = self.tally.states(ended=True) or "none ended"
        return f"{_runs(self.tally.total)} in {passed}: {states}{more}"


def header(config: DictConfig, runs: Sequence[Sequence[str]]) -> str:
    """What a sweep is, how many runs it has, and where they are carried out and recorded.

    Such as ``Sweep: 8 runs (rule 2 × seed 4), 2 at a time (launcher local); records in runs``.
    """
    choices = config.hydra.runtime.choices
    name, launcher = choices.get("experiment"), choices.get("hydra/launcher")
    found = axes(runs)
    # A sweep with arms is no product of its axes.
    sign = " × " if math.prod(map(len, found.values())) == len(runs) else ", "
    sizes = sign.join(f"{key} {len(values)}" for key, values in found.items())
    number = config.hydra.launcher.get("n_jobs") if launcher in ("local", "joblib") else None
    where = f"launcher {launcher}" + (f", {number} at a time" if number else "")
    what = f"Sweep{f' {name}' if name else ''}: {_runs(len(runs))}"
    return f"{what}{f' ({sizes})' if sizes else ''}; {where}; records in {config.paths.runs_dir}"


def watch(config: DictConfig, runs: Sequence[Sequence[str]]) -> AbstractContextManager[object]:
    """Show a sweep while the block carries it out.

    It shows nothing for runs without records, in all but one of several processes that train one
    run together, and with launchers whose runs may not see the runs folder; and only the header if
    the launcher does not wait for the runs.
    """
    if config.get("toy") or "trainer" not in config or os.environ.get("RANK", "0") != "0":
        return nullcontext()
    if _launcher(config) not in HERE + AWAY:
        return nullcontext()
    if config.hydra.launcher.get("wait") is False:
        display_for(config.trainer.progress).line(header(config, runs))
        return nullcontext()
    return Watch(config, [*runs], header(config, runs), len(runs))


def _launcher(config: DictConfig) -> str:
    return config.hydra.launcher._target_.rpartition(".")[2]


def _runs(number: int) -> str:
    return f"{number} run{'s' * (number != 1)}"


def _odd(event: Event) -> str:
    """A state that the user should hear of; empty for others."""
    state = event.get("state", "")
    if state == "failed":
        return "failed before"
    return state if state in ("skipped", "interrupted", "left") else ""


def _place(record: Path) -> Path:
    """The folder or file that holds the record of a run."""
    return record if record.suffix == ".csv" else record.parent
