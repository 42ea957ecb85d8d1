"""What the runs of a sweep tell the process that shows it: one line of JSON per event, in one file.

The runs may be in this process, in its workers or on other machines; all see the runs folder, and
inherit the file's name in an environment variable. Where it is not set, nobody watches, and nothing
is written. The file is only for display: the records say what was measured.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

VARIABLE, MUTED = "GOFAU_WATCH", "GOFAU_MUTED"
Event = dict[str, Any]
_number: ContextVar[int | None] = ContextVar("number of the run in its sweep", default=None)


class Events:
    """The file of a sweep, as the process that shows the sweep reads it.

    Args:
        path: the file, which is new.
        mute: whether the runs should print nothing themselves, since they share a terminal or a log
            with the process that shows them.

    >>> import tempfile
    >>> with Events(Path(tempfile.mkdtemp()) / "x.events", mute=True) as events:
    ...     with of_run(3):
    ...         note(state="running")
    ...     muted(), events.new(), events.new()
    (True, [{'run': 3, 'state': 'running'}], [])
    """

    def __init__(self, path: Path, mute: bool) -> None:
        self.path, self.mute = path, mute
        self._read = 0

    def __enter__(self) -> "Events":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        os.environ[VARIABLE] = str(self.path.absolute())
        if self.mute:
            os.environ[MUTED] = "1"
        return self

    def __exit__(self, *error: object) -> None:
        for name in (VARIABLE, MUTED):
            os.environ.pop(name, None)
        self.path.unlink(missing_ok=True)

    def new(self) -> list[Event]:
        """The events since the last call."""
        try:
            with open(self.path, "rb") as f:
                f.seek(self._read)
                # A line without its end is still being written.
                whole = f.read().rpartition(b"\n")[0]
        except OSError:  # the runs folder was removed: the runs will say so
            return []
        self._read += len(whole) + 1 if whole else 0
        return [json.loads(line) for line in whole.splitlines()]


@contextmanager
def of_run(number: int) -> Iterator[None]:
    """Within the block, `note` speaks of run ``number`` of the sweep (0, 1, …)."""
    token = _number.set(number)
    try:
        yield
    finally:
        _number.reset(token)


def note(**facts: Any) -> None:
    """Tell the process that shows the sweep something about this run, such as its ``state``."""
    path, number = os.environ.get(VARIABLE), _number.get()
    if path is None or number is None:
        return
    line = json.dumps({"run": number, **facts}) + "\n"
    try:
        # Appended in one write, since others append too. Not created: a job on a cluster may
        # outlive the process that watched it.
        handle = os.open(path, os.O_WRONLY | os.O_APPEND)
    except OSError:
        return
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def muted() -> bool:
    """Whether a run should print nothing, since another process shows what it does."""
    return MUTED in os.environ
