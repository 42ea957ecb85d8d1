"""What the runs of one command know of each other: when it was typed, and which of them failed.

It is handed down in the environment, which the worker processes of every launcher inherit.
"""

import json
import os
import sys
import time
import uuid
from pathlib import Path

VARIABLE = "GOFAU_SWEEP"
COMMAND = "GOFAU_COMMAND"


def begin() -> None:
    """A command was typed: a new sweep, of one run or many."""
    os.environ[VARIABLE] = f"{uuid.uuid4().hex[:12]} {time.time()}"
    os.environ[COMMAND] = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def deadline(minutes: float | None) -> float | None:
    """When a sweep of so many minutes ends, in seconds of `time.time`; None for never."""
    if minutes is None:
        return None
    _, _, started = os.environ.get(VARIABLE, "").partition(" ")
    return (float(started) if started else time.time()) + 60 * minutes


def note_failure(runs_dir: str | Path, what: str, sentence: str, users: bool) -> bool:
    """Write down that a run of this sweep failed; whether it is the first to fail in this way.

    Args:
        runs_dir: where the runs are.
        what: the overrides that made the run.
        sentence: what went wrong.
        users: whether the user's input is at fault.
    """
    path = _path(runs_dir)
    known = any(failure["sentence"] == sentence for failure in failures(runs_dir))
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"what": what, "sentence": sentence, "users": users})
    with open(path, "a", encoding="utf-8") as f:  # one write: workers append at the same time
        f.write(line + "\n")
    return not known


def failures(runs_dir: str | Path) -> list[dict[str, str]]:
    """What `note_failure` wrote in this sweep."""
    try:
        lines = _path(runs_dir).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [json.loads(line) for line in lines]


def _path(runs_dir: str | Path) -> Path:
    name = os.environ.get(VARIABLE, "").partition(" ")[0] or "unnamed"
    return Path(runs_dir) / ".sweep" / f"{name}.failures"
