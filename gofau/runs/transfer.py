"""Moves runs to another machine, and removes unfinished ones."""

import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from gofau.errors import UserError
from gofau.runs.lock import holder_of
from gofau.runs.record import FINISHED, read_status
from gofau.runs.table import folders, look

FILES = ("config.yaml", "metrics.csv", "diagnostics.csv", "status.json")
"""The files of a record. Checkpoints are not moved: another machine may round differently."""


def export(runs_dir: Path, archive: Path) -> int:
    """Pack the records of the finished runs into a ``.tar.gz``; returns their number."""
    done = [f for f in folders(runs_dir) if read_status(f)["state"] in FINISHED]
    if archive.is_dir():
        raise UserError(f"{archive} is a folder: name a file to export to, such as runs.tar.gz")
    # Renamed when it is complete: one of that name may be there already.
    unfinished = archive.with_name(f".{archive.name}.{os.getpid()}")
    try:
        with tarfile.open(unfinished, "w:gz") as tar:
            for folder in done:
                for name in FILES:
                    if (folder / name).is_file():
                        tar.add(folder / name, f"{folder.name}/{name}", recursive=False)
        os.replace(unfinished, archive)
    except OSError as e:
        raise UserError(f"{archive} cannot be written: {e.strerror or e}") from e
    finally:
        unfinished.unlink(missing_ok=True)
    return len(done)


def merge(archive: Path, runs_dir: Path) -> tuple[int, int]:
    """Unpack the records of runs that are not finished here; returns (added, skipped).

    Runs are matched by identity. A run that is finished here, or that a process is working on, is
    skipped and not overwritten.

    Raises:
        UserError: it is not an archive of runs, or has an entry that does not belong in one.
    """
    if not archive.exists():
        raise UserError(f"there is no {archive}")
    runs_dir.mkdir(parents=True, exist_ok=True)
    # Unpacked aside, on the same file system: a run then appears whole, by one rename.
    with tempfile.TemporaryDirectory(dir=runs_dir, prefix=".import-") as aside:
        _unpack(archive, Path(aside))
        taken = left = 0
        for folder in sorted(Path(aside).iterdir()):
            here = runs_dir / folder.name
            theirs = read_status(folder)
            if theirs["state"] not in FINISHED or not folder.name.endswith(_identity(folder)):
                raise UserError(f"{archive}: {folder.name} is not the record of a finished run")
            if read_status(here)["state"] in FINISHED or holder_of(here / "lock"):
                left += 1
                continue
            if here.exists():
                shutil.rmtree(here)
            folder.rename(here)
            taken += 1
    return taken, left


def _identity(folder: Path) -> str:
    try:
        status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
        return f"-{status['identity']}"
    except (OSError, ValueError, KeyError):
        return "-?"


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for entry in tar:
                parts = PurePosixPath(entry.name).parts
                stream = tar.extractfile(entry) if entry.isfile() else None
                if stream is None or len(parts) != 2 or parts[0] == ".." or parts[1] not in FILES:
                    raise UserError(f"{archive} has the entry {entry.name!r}: refused")
                # Not tar.extract: only an entry's bytes are used, not its path, mode or owner.
                (folder / parts[0]).mkdir(exist_ok=True)
                (folder / parts[0] / parts[1]).write_bytes(stream.read())
    except (tarfile.TarError, OSError, EOFError) as e:
        raise UserError(f"{archive} is not a complete archive of runs ({e})") from e


def prune(runs_dir: Path, states: tuple[str, ...]) -> list[Path]:
    """Remove the runs in these states that no process is working on; returns their folders."""
    gone = []
    for folder in folders(runs_dir):
        if look(folder)["state"] in states and holder_of(folder / "lock") is None:
            shutil.rmtree(folder)
            gone.append(folder)
    return gone
