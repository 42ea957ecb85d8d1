"""Looks up runs in committed records (``reuse=results``), so that a campaign can continue from them
on any machine."""

import csv
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from gofau.errors import UserError
from gofau.runs.record import FINISHED, Run

Status = dict[str, Any]
PARTS = ("metric", "fingerprint", "compute", "divergence")
TEXTS = ("name", "title", "format", "reason")
FLAGS = {"True": True, "False": False}


def committed(run: Run, results: Path) -> tuple[str, Status]:
    """The file below ``results`` that holds the finished record of a run, and the record in the
    form of a status.json; empty if there is none. Of several records the latest is used. Records
    with a number of threads other than the configuration asks for are ignored.

    Raises:
        UserError: there are no records below ``results``.
    """
    paths = sorted(results.glob("*/runs.csv"))
    if not paths:
        raise UserError(f"reuse={results}: there are no records ({results}/*/runs.csv)")
    every = _records(tuple((path, path.stat().st_mtime_ns) for path in paths))
    asked = run.config["trainer"].get("threads")
    found = [
        (where, row)
        for where, row in every.get(run.identity, [])
        if asked is None or row["compute"].get("threads", asked) == asked
    ]
    return max(found, key=lambda entry: entry[1]["updated"], default=("", {}))


@cache
def _records(files: tuple[tuple[Path, int], ...]) -> dict[str, list[tuple[str, Status]]]:
    """Identity → finished records in these files. The modification times are part of the cache key,
    so a file is read once per process, and again if it changes."""
    found: dict[str, list[tuple[str, Status]]] = {}
    for path, _ in files:
        try:
            for identity, status in _finished(path):
                found.setdefault(identity, []).append((str(path), status))
        except (OSError, ValueError, KeyError, AttributeError, csv.Error) as e:
            raise UserError(
                f"{path} cannot be read ({e}): restore it from git (git checkout -- {path})"
            ) from e
    return found


def _finished(path: Path) -> Iterator[tuple[str, Status]]:
    with open(path, newline="", encoding="utf-8") as f:
        for row in csv.DictReader(f, strict=True):
            if row.get("state") in FINISHED:
                yield row["identity"], _status(row)


def _status(row: dict[str, str]) -> Status:
    """Convert a row of runs.csv back to the status.json that it was collected from."""
    status: Status = {"state": row["state"], "updated": row.get("updated", ""), "result": {}}
    status |= {part: {} for part in PARTS}
    for column, text in row.items():
        part, _, key = column.replace("divergence/", "divergence.").partition(".")
        if part in PARTS and key and text:
            # A fingerprint may look like a number, such as 1234567890 or 12e4567890.
            kept = text if part == "fingerprint" or key in TEXTS else _value(text)
            status[part][key] = kept
        elif "/" in column or column in ("seconds", "epochs", "steps"):
            status["result"][column] = _value(text)
        elif column in ("classes", "diagnostics_every", "update_rms"):
            status[column] = _value(text)
    if status["metric"]:
        # An empty entry of the csv: the metric has no chance level.
        status["metric"].setdefault("chance", None)
    return {key: value for key, value in status.items() if value != {} or key == "compute"}


def _value(text: str) -> Any:
    if text in FLAGS:
        return FLAGS[text]
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
