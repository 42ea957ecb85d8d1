"""Turns run records into tidy pandas frames: one row per run, one row per epoch."""

import csv
import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from gofau.report.records import Records, texts, write
from gofau.runs import Run, science

Grid = Iterable[tuple[dict[str, str], dict[str, Any]]]


def gather(grid: Grid) -> Records:
    """Read the records of a grid's runs from their folders.

    Args:
        grid: for each run, what varies and its configuration (see `gofau.config.grid.grid`).

    Returns:
        runs: one row per run: identity, state (``pending`` where there is no record: missing runs
            are shown, not dropped), the scientific configuration flattened to dotted columns, the
            result, ``metric.*`` (the metric's name and properties), ``update_rms`` (root mean
            square of Δθ over all weights, averaged over the steps in diagnostics.csv; only if some
            run has that file), how it was computed (``compute.threads``, ``compute.precision`` …),
            the fingerprints of code and data, the provenance.
        curves: the rows of metrics.csv, for each finished run.
    """
    rows, curves = {}, {}
    for _, config in grid:
        run = Run(config)
        if run.identity in rows:
            continue
        rows[run.identity] = {key: _text(value) for key, value in _row(run).items()}
        metrics = run.folder / "metrics.csv"
        if metrics.exists() and run.finished():
            with open(metrics, newline="", encoding="utf-8") as f:
                curves[run.identity] = [*csv.DictReader(f)]
    return Records([*rows.values()], curves)


def frames(records: Records) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Convert records to two frames: the runs, and the epochs, each with its run's identity."""
    runs, curves = (pd.read_csv(io.BytesIO(text)) for text in texts(records))
    return runs, curves


def _row(run: Run) -> dict[str, Any]:
    status = run.status()
    row = {"identity": run.identity, "state": status["state"]}
    if "trial" in (run.config.get("search") or {}):
        row["trial"] = run.config["search"]["trial"]
    row |= _flat(science(run.config)) | status.get("result", {})
    row |= {f"divergence/{k}": v for k, v in status.get("divergence", {}).items()}
    row |= _size_of_steps(run.folder / "diagnostics.csv") if run.finished() else {}
    row |= {key: status.get(key) for key in ("parameters", "classes", "started", "updated")}
    row |= {"diagnostics_every": status["diagnostics_every"]} if _measures(status) else {}
    for part in ("metric", "compute", "fingerprint", "provenance"):
        row |= _flat(status.get(part, {}), f"{part}.")
    # Paths on the user's machine are private, and do not change a result.
    words = str(row.get("provenance.command", "")).split()
    row["provenance.command"] = " ".join(
        w for w in words if not w.startswith(("paths.", "reuse=/"))
    )
    return row


def _measures(status: dict[str, Any]) -> bool:
    return status.get("diagnostics_every") is not None


def _size_of_steps(diagnostics: Path) -> dict[str, float]:
    if not diagnostics.exists():
        return {}
    with open(diagnostics, newline="", encoding="utf-8") as f:
        sizes = [float(row["update_rms/all"]) for row in csv.DictReader(f)]
    return {"update_rms": sum(sizes) / len(sizes)} if sizes else {}


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, v in value.items():
        flat |= _flat(v, f"{prefix}{key}.") if isinstance(v, dict) else {f"{prefix}{key}": v}
    return flat


def _text(value: Any) -> str:
    """A value as written in a csv file; None and NaN are empty."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "" if missing else str(value)


def save(runs: pd.DataFrame, curves: pd.DataFrame, folder: Path) -> None:
    """Write frames as ``runs.csv`` and ``curves.csv.gz``, replacing existing files: for made-up
    records. Those of real runs go through `gofau.report.collecting`."""
    by_run: dict[str, list[dict[str, str]]] = {}
    for row in _rows(curves):
        by_run.setdefault(row.pop("identity"), []).append(row)
    write(Records(_rows(runs), by_run), folder)


def _rows(frame: pd.DataFrame) -> list[dict[str, str]]:
    found = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(key): _text(value) for key, value in row.items()} for row in found]


def load(folder: Path) -> pd.DataFrame:
    """Read the epochs of the runs in a results folder; each row also describes its run."""
    runs = pd.read_csv(folder / "runs.csv")
    curves = pd.read_csv(folder / "curves.csv.gz")
    what = ["identity", "state", "seed", *(c for c in runs if c.endswith(".name"))]
    return curves.merge(runs[what], on="identity", validate="many_to_one")
