"""Run records → tidy pandas frames: one row a run, one row an epoch."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from gofau.runs import Run, science

KEYS = ["identity", "epoch"]


def collect(
    grid: Iterable[tuple[dict[str, str], dict[str, Any]]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The records of the runs of a grid.

    Args:
        grid: what varies and the configuration, for each run (see `gofau.config.grid.grid`).

    Returns:
        runs: one row a run: identity, state (``pending`` where there is no record: missing runs are
            shown, not dropped), the scientific configuration flattened to dotted columns, the
            result, ``update_rms`` (the mean over the steps that diagnostics.csv has of the root
            mean square of Δθ over all weights; only where one has them), how it was computed
            (``compute.threads``, ``compute.precision`` …), the provenance.
        curves: one row an epoch of a run: identity and the columns of metrics.csv.
    """
    rows, curves = [], []
    for _, config in grid:
        run = Run(config)
        rows.append(_row(run))
        metrics = run.folder / "metrics.csv"
        if metrics.exists() and run.finished():
            with open(metrics, newline="", encoding="utf-8") as f:
                curves += [{"identity": run.identity, **row} for row in csv.DictReader(f)]
    frame = pd.DataFrame(curves) if curves else pd.DataFrame(columns=KEYS)
    for column in frame.columns.difference(["identity"]):
        # A loss that is not a number, and an accuracy that there is not, are missing values.
        frame[column] = pd.to_numeric(frame[column].replace({"nan": None, "": None}))
    return pd.DataFrame(rows), frame


def _row(run: Run) -> dict[str, Any]:
    status = run.status()
    row = {"identity": run.identity, "state": status["state"]}
    if run.config.get("search"):
        row["trial"] = run.config["search"]["trial"]
    row |= _flat(science(run.config)) | status.get("result", {})
    row |= {f"divergence/{k}": v for k, v in status.get("divergence", {}).items()}
    row |= _size_of_steps(run.folder / "diagnostics.csv") if run.finished() else {}
    row |= {key: status.get(key) for key in ("parameters", "classes", "started", "updated")}
    row |= _flat(status.get("compute", {}), "compute.")
    row |= _flat(status.get("provenance", {}), "provenance.")
    # Where the files of whoever ran it lie is nobody's business, and changes no number.
    words = str(row.get("provenance.command", "")).split()
    row["provenance.command"] = " ".join(w for w in words if not w.startswith("paths."))
    return row


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


def save(runs: pd.DataFrame, curves: pd.DataFrame, folder: Path) -> None:
    """Write ``runs.csv`` and ``curves.csv.gz``: the same bytes for the same records."""
    folder.mkdir(parents=True, exist_ok=True)
    runs.to_csv(folder / "runs.csv", index=False, lineterminator="\n")
    packed = {"method": "gzip", "mtime": 0}
    curves.to_csv(
        folder / "curves.csv.gz",
        index=False,
        lineterminator="\n",
        compression=packed,  # type: ignore[arg-type]
    )


def load(folder: Path) -> pd.DataFrame:
    """The epochs of the runs in a results folder, with what each run was on every row."""
    runs = pd.read_csv(folder / "runs.csv")
    curves = pd.read_csv(folder / "curves.csv.gz")
    what = ["identity", "state", "seed", *(c for c in runs if c.endswith(".name"))]
    return curves.merge(runs[what], on="identity", validate="many_to_one")
