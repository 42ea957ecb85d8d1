"""What the runs of one command share: when it was typed, and which of them failed.

It is passed on in environment variables, which the worker processes of every launcher inherit.
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
    """Mark the start of a command: a new sweep, of one run or many."""
    os.environ[VARIABLE] = f"{uuid.uuid4().hex[:12]} {time.time()}"
    os.environ[COMMAND] = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def deadline(minutes: float | None) -> float | None:
    """When a sweep limited to ``minutes`` ends, in seconds of `time.time`; None without a limit."""
    if minutes is None:
        return None
    _, _, started = os.environ.get(VARIABLE, "").partition(" ")
    return (float(started) if started else time.time()) + 60 * minutes


def note_failure(runs_dir: str | Path, what: str, sentence: str, users: bool) -> bool:
    """Record that a run of this sweep failed; returns whether it is the first such failure.

    Args:
        runs_dir: the folder of the runs.
        what: the overrides of the run.
        sentence: what went wrong.
        users: whether the user's input is at fault.
    """
    # Looked up before it is written, so that the first one is reported as the first.
    path = _path(runs_dir)
    known = any(failure["sentence"] == sentence for failure in failures(runs_dir))
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"what": what, "sentence": sentence, "users": users})
    with open(path, "a", encoding="utf-8") as f:  # in one write, as other workers append too
        f.write(line + "\n")
    return not known


def failures(runs_dir: str | Path) -> list[dict[str, str]]:
    """The failures that `note_failure` recorded in this sweep."""
    try:
        lines = _path(runs_dir).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [json.loads(line) for line in lines]


def _path(runs_dir: str | Path) -> Path:
    name = os.environ.get(VARIABLE, "").partition(" ")[0] or "unnamed"
    return Path(runs_dir) / ".sweep" / f"{name}.failures"
