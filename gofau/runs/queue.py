"""Runs that wait in the queue of a cluster, after `hydra.launcher.wait=false`.

A submission is recorded in ``<runs>/.sweep/queue/<job>.json``: the name of each run's folder → its
Slurm job, such as ``12_3``. Slurm says which of them it still has; what became of the others is in
their records.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from gofau.runs.files import write_whole
from gofau.runs.record import FINISHED, read_status

Jobs = dict[str, str]
"""Name of a run's folder → its job."""


def submitted(runs_dir: Path, jobs: Mapping[str, str]) -> str:
    """Record a submission; returns the number of its job array."""
    folder = _folder(runs_dir)
    folder.mkdir(parents=True, exist_ok=True)
    array = next(iter(jobs.values())).partition("_")[0]
    write_whole(folder / f"{array}.json", json.dumps(dict(jobs)))
    return array


def submissions(runs_dir: Path) -> dict[str, Jobs]:
    """The recorded submissions: number of the job array → its jobs, in the order of submission."""
    found = {}
    for path in sorted(_folder(runs_dir).glob("*.json"), key=lambda p: (len(p.stem), p.stem)):
        found[path.stem] = json.loads(path.read_text(encoding="utf-8"))
    return found


def forget(runs_dir: Path) -> None:
    """Remove the records of submissions whose runs are all finished."""
    for array, jobs in submissions(runs_dir).items():
        if all(read_status(runs_dir / name)["state"] in FINISHED for name in jobs):
            (_folder(runs_dir) / f"{array}.json").unlink(missing_ok=True)


def alive(runs_dir: Path) -> Jobs | None:
    """The submitted runs whose job waits or runs in Slurm; None if Slurm does not answer."""
    known = submissions(runs_dir)
    if not known:
        return {}
    has = _squeue()
    if has is None:
        return None
    return {name: job for jobs in known.values() for name, job in jobs.items() if job in has}


def answers() -> bool:
    """Whether Slurm answers at all."""
    return _squeue() is not None


def _squeue() -> set[str] | None:
    """The jobs of this user that are not over, each job of an array by itself."""
    command = ["squeue", "--noheader", "--array", "--format=%i", f"--user={os.getuid()}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {*done.stdout.split()} if done.returncode == 0 else None


def _folder(runs_dir: Path) -> Path:
    return runs_dir / ".sweep" / "queue"
