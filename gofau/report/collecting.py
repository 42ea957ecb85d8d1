"""Merges records into a results folder, and reports what changed."""

from collections import Counter
from contextlib import suppress
from pathlib import Path

from gofau.errors import UserError
from gofau.report.experiments import shows_epochs
from gofau.report.records import RUNS, Key, Merged, Records, Row, merge, read, write
from gofau.runs import FINISHED
from gofau.runs.lock import Taken, lock

SHOWN = 3
"""How many runs a line names; the others are only counted."""


def update(folder: Path, new: Records, *, key: Key = ("identity",), drop: bool = False) -> Merged:
    """Merge the records of a grid's runs into those of a results folder, and write them.

    An experiment without any finished run, and without earlier records, gets no files: empty
    records would hide those of its twin in the report. The epochs of the runs are kept where a
    figure shows them.

    Args:
        folder: ``results/<name>``.
        new, key, drop: see `gofau.report.records.merge`.

    Raises:
        UserError: the old records are damaged, or another process is collecting into this folder.
    """
    there = folder.parent.exists()
    try:
        # Reading, merging and writing must not be interleaved with another collector's.
        with lock(folder / ".collecting"):
            merged = merge(read(folder, key), new, key=key, drop=drop)
            if (folder / RUNS).exists() or _finished(merged.records.runs):
                runs, shown = merged.records.runs, shows_epochs(folder.name)
                write(merged.records if shown else Records(runs), folder)
    except Taken as e:
        raise UserError(f"{e} is collecting into {folder}: wait for it, then try again") from e
    with suppress(OSError):  # removes folders that only ever held the lock
        folder.rmdir()
        if not there:
            folder.parent.rmdir()
    return merged


def lines(folder: Path, merged: Merged, *, drop: bool = False) -> list[str]:
    """The lines that report an `update`: a summary, and one line per thing that may surprise."""
    runs = merged.records.runs
    if not (folder / RUNS).exists():
        return [f"{folder}: none of {len(runs)} runs is finished: nothing was written"]
    told = [f"{folder}: {len(runs)} runs ({_states(runs)})"]
    if merged.kept:
        which = _which([row["identity"] for row in merged.kept])
        told.append(f"  {len(merged.kept)} finished before, not in this runs folder: kept: {which}")
    if merged.differing:
        which = _which(merged.differing)
        told.append(
            f"  {len(merged.differing)} finished twice with different results, the later one is"
            f" used: {which}"
        )
    if merged.outside:
        which = _which([row["identity"] for row in merged.outside])
        word = "dropped" if drop else "kept (--drop leaves them out)"
        told.append(
            f"  {len(merged.outside)} not in this grid ({_states(merged.outside)}), {word}: {which}"
        )
    return told


def _finished(runs: list[Row]) -> bool:
    return any(row["state"] in FINISHED for row in runs)


def _states(runs: list[Row]) -> str:
    return ", ".join(f"{n} {state}" for state, n in Counter(r["state"] for r in runs).most_common())


def _which(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
