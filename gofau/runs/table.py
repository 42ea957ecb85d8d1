"""Lists and counts the runs of a folder, for the user."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gofau.errors import UserError
from gofau.runs.identity import science
from gofau.runs.lock import holder_of
from gofau.runs.outcome import summary
from gofau.runs.queue import alive, submissions
from gofau.runs.record import FINISHED, STATES, read_status

HIDDEN = ("name", "_target_")
"""Keys of a section that `show` does not list as hyperparameters."""


def folders(runs_dir: Path) -> Iterator[Path]:
    """Yield every run's folder below ``runs_dir``, sorted by name."""
    yield from sorted(path.parent for path in runs_dir.glob("*/config.yaml"))


def look(folder: Path) -> dict[str, Any]:
    """The status of a run. If it says ``running`` but no process holds its lock, the run was
    killed: its state is ``interrupted``, since typing its command again resumes it."""
    status = read_status(folder)
    if status["state"] == "running" and holder_of(folder / "lock") is None:
        status["state"] = "interrupted"
    return status


def table(runs_dir: Path, names: bool = False) -> str:
    """The number of runs in each state, the seconds left of running ones, and why others failed or
    diverged.

    Args:
        runs_dir: the folder of the runs.
        names: whether to list every run, with the result of those that are done.
    """
    found = {folder: look(folder) for folder in folders(runs_dir)}
    waiting = alive(runs_dir)
    for name in waiting or ():
        # Also without a folder, which a run gets when it begins.
        status = found.setdefault(runs_dir / name, {"state": "queued"})
        if status["state"] not in (*FINISHED, "running"):
            status["state"] = "queued"
    counts = Counter(status["state"] for status in found.values())
    lines = [f"{state:<12} {counts[state]:>6}" for state in (*STATES, "queued") if counts[state]]
    lines.append(f"{'all':<12} {len(found):>6}")
    lines += _jobs(runs_dir, found)
    if waiting is None:
        lines.append("Slurm does not answer (squeue): which runs are queued is not known")
    for folder, status in sorted(found.items()):
        note = _note(folder, status)
        if names and status["state"] == "done":
            with suppress(KeyError):  # a record that is not complete has no result to show
                note = summary(status)
        if names or note:
            lines.append(f"{status['state']:<12} {folder.name}{'  ' if note else ''}{note}")
    return "\n".join(lines)


def _jobs(runs_dir: Path, found: Mapping[Path, dict[str, Any]]) -> Iterator[str]:
    """One line per submission to a cluster, such as ``job 12  3 runs: 1 done, 2 queued``."""
    for array, jobs in submissions(runs_dir).items():
        lost = {"state": "ended without a record"}
        states = Counter(found.get(runs_dir / name, lost)["state"] for name in jobs)
        told = ", ".join(f"{n} {state}" for state, n in states.items())
        yield f"{f'job {array}':<12} {len(jobs):>6} run{'s' * (len(jobs) != 1)}: {told}"


def _note(folder: Path, status: dict[str, Any]) -> str:
    if status["state"] == "running":
        left = seconds_left(folder, status)
        return "" if left is None else f"about {left:,.0f} s left"
    if status["state"] == "diverged":
        return f"step {status['divergence']['step']}: {status['divergence']['reason']}"
    return str(status.get("error", "")) if status["state"] == "failed" else ""


def seconds_left(folder: Path, status: dict[str, Any]) -> float | None:
    """Estimated seconds of training left, from the epochs so far; None before the first ends."""
    try:
        row = _last_row(folder)  # its seconds are those of all epochs so far
        epoch, seconds = int(row["epoch"]), float(row["seconds"])
        return seconds / epoch * (status["epochs"] - epoch)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def epochs_done(folder: Path) -> int:
    """The number of epochs that a run has ended."""
    try:
        return int(_last_row(folder)["epoch"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _last_row(folder: Path) -> dict[str, str]:
    with open(folder / "metrics.csv", newline="", encoding="utf-8") as f:
        *_, row = csv.DictReader(f)
    return row


def show(folder: Path) -> str:
    """Everything known about one run: its folder, files, hyperparameters and status."""
    status = look(folder)
    files = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    lines = [str(folder), f"files: {', '.join(files)}", "hyperparameters:", *_settings(folder)]
    for key, value in status.items():
        if isinstance(value, dict):
            lines += [f"{key}:", *(f"  {name}: {v}" for name, v in value.items())]
        else:
            lines.append(f"{key}: {value}")
    return "\n".join(lines)


def _settings(folder: Path) -> Iterator[str]:
    """One line per part of the scientific configuration, such as ``optimizer: sgd, lr 0.1``."""
    import yaml  # not to be needed by `status`

    path = folder / "config.yaml"
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        config = None
    if not isinstance(config, dict):
        raise UserError(f"{path} is damaged: it does not hold a configuration")
    for section, keys in science(config).items():
        if not isinstance(keys, dict):  # the seed
            keys = {"name": keys}
        name = [_text(keys["name"])] if "name" in keys else []
        rest = [f"{key} {_text(value)}" for key, value in keys.items() if key not in HIDDEN]
        yield f"  {section}: {', '.join([*name, *rest])}"


def _text(value: Any) -> str:
    """A value as it would be typed."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_text(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
