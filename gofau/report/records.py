"""Reads, merges and writes the committed records of an experiment, ``runs.csv`` and
``curves.csv.gz``. `merge` never loses a finished run.

All values stay text. A number that is converted to a float and back may be written differently;
then a file merged in steps would differ from one that was collected at once.
"""

import csv
import gzip
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gofau.errors import UserError
from gofau.runs import FINISHED, SECTIONS
from gofau.runs.files import write_whole

Row = dict[str, str]
Key = tuple[str, ...]
RUNS, CURVES = "runs.csv", "curves.csv.gz"
FIRST = ("identity", "state", "trial")
GROUPS = (*SECTIONS, "seed", "science", "metric", "train", "val", "test", "divergence")
LAST = ("compute", "fingerprint", "provenance")
MEASURED = ("train/", "val/", "test/", "divergence/")
"""Prefixes of the columns with results; the others hold configuration and provenance."""


@dataclass(frozen=True)
class Records:
    """The runs of an experiment, one row per run, and identity → the rows of its epochs."""

    runs: list[Row]
    curves: Mapping[str, list[Row]] = field(default_factory=dict)


@dataclass(frozen=True)
class Merged:
    """The result of `merge`, with what a user should be told about it.

    Attributes:
        records: the merged records.
        outside: rows of the old file that are not in today's grid.
        kept: finished rows of the old file whose run is not finished in today's runs folder.
        differing: identities with two finished records whose results differ.
    """

    records: Records
    outside: list[Row]
    kept: list[Row]
    differing: list[str]


def merge(old: Records, new: Records, *, key: Key = ("identity",), drop: bool = False) -> Merged:
    """Merge new records into old ones. A finished record is only ever replaced by a finished record
    of the same run. Of two finished records the later one is kept, as a whole and with its
    provenance, so the order of collecting does not matter.

    Args:
        old: the committed records.
        new: one row per run of today's grid.
        key: the columns that identify a run.
        drop: leave out the old rows that are not in today's grid.

    >>> done = {"identity": "a", "state": "done", "test/acc": "0.9"}
    >>> lost = {"identity": "a", "state": "pending"}
    >>> merge(Records([done]), Records([lost])).records.runs == [done]
    True
    """
    before = {_key(row, key): row for row in old.runs}
    today = {_key(row, key): row for row in new.runs}
    outside = [row for name, row in before.items() if name not in today]
    chosen, kept, differing = {}, [], []
    for name, row in today.items():
        other = before.get(name)
        chosen[name] = row if other is None or not _stays(other, row) else other
        if other is not None and _finished(other):
            if not _finished(row):
                kept.append(other)
            elif _measured(other) != _measured(row):
                differing.append(row["identity"])
    rest = {} if drop else {_key(row, key): row for row in outside}
    # A subset of the old grid keeps the order of the old file; new runs bring the new order.
    order = before if today.keys() <= before.keys() else today | rest
    both = chosen | rest
    runs = [both[name] for name in order if name in both]
    # A run and its epochs come from the same side, or a row would stand beside another run's curve.
    fresh = {row["identity"] for name, row in today.items() if chosen[name] is row}
    sources = {r["identity"]: new.curves if r["identity"] in fresh else old.curves for r in runs}
    curves = {name: source[name] for name, source in sources.items() if name in source}
    return Merged(Records(runs, curves), outside, kept, differing)


def _stays(old: Row, new: Row) -> bool:
    """Whether to keep the old row: it is finished, and the new one is not finished or is older."""
    if not _finished(old):
        return False
    return not _finished(new) or old.get("updated", "") > new.get("updated", "")


def _finished(row: Row) -> bool:
    return row["state"] in FINISHED


def _key(row: Row, key: Key) -> Key:
    return tuple(row.get(column, "") for column in key)


def _measured(row: Row) -> Row:
    found = {k: v for k, v in row.items() if k.startswith(MEASURED) and v}
    return found | {"state": row["state"]}


def read(folder: Path, key: Key = ("identity",)) -> Records:
    """Read the records of a results folder; empty where there is no ``runs.csv``.

    Raises:
        UserError: a file is damaged, or was not written by `write`. It is not changed.
    """
    runs = _read(folder / RUNS, lambda path: path.read_bytes())
    twice = [name for name, n in Counter(_key(row, key) for row in runs).items() if n > 1]
    if twice:
        raise _torn(folder / RUNS, f"the run {' '.join(twice[0])} occurs twice")
    if any(not row.get("identity") or not row.get("state") for row in runs):
        raise _torn(folder / RUNS, "a row has no identity or no state")
    curves: dict[str, list[Row]] = {}
    epochs = _read(folder / CURVES, lambda path: gzip.decompress(path.read_bytes()))
    for row in epochs:
        curves.setdefault(row.pop("identity", ""), []).append(row)
    return Records(runs, curves)


def _read(path: Path, load: Callable[[Path], bytes]) -> list[Row]:
    if not path.exists():
        return []
    try:
        text = load(path).decode("utf-8")
        if not text.endswith("\n"):
            raise ValueError("its last line is incomplete")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = next(reader)
        if "identity" not in header or len(set(header)) < len(header):
            raise ValueError("its first line does not name the columns")
        return [dict(zip(header, line, strict=True)) for line in reader]
    except (OSError, EOFError, ValueError, csv.Error) as e:
        raise _torn(path, str(e)) from e


def _torn(path: Path, why: str) -> UserError:
    return UserError(
        f"{path} is damaged ({why}): nothing was written; restore it from git"
        f" (git checkout -- {path}), or move it away to start anew"
    )


def write(records: Records, folder: Path) -> None:
    """Write both files; the same records always give the same bytes. The epochs are written first,
    so that after a crash between the two every run in ``runs.csv`` has its epochs."""
    folder.mkdir(parents=True, exist_ok=True)
    runs, curves = texts(records)
    write_whole(folder / CURVES, gzip.compress(curves, mtime=0))
    write_whole(folder / RUNS, runs)


def texts(records: Records) -> tuple[bytes, bytes]:
    """The two files as csv: the runs, and the epochs, each with its run's identity."""
    epochs = [{"identity": name, **row} for name, rows in records.curves.items() for row in rows]
    columns = sorted(_seen(records.runs), key=_place)
    return _csv(records.runs, columns), _csv(epochs, _seen(epochs) or ["identity", "epoch"])


def _csv(rows: Iterable[Row], columns: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _seen(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))


def _place(column: str) -> tuple[int, bool, str]:
    """The sort key of a column. Order of appearance would depend on which runs were collected
    first."""
    if column in FIRST:
        return FIRST.index(column), False, column
    group = column.replace("/", ".").partition(".")[0]
    found = GROUPS.index(group) if group in GROUPS else len(GROUPS)
    if group in LAST:
        found = len(GROUPS) + 1 + LAST.index(group)
    return len(FIRST) + found, not column.endswith(".name"), column
