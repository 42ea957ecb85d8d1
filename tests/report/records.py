"""Results folders made up for tests: records of runs that nobody ran."""

from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from gofau.report.frames import save

Accuracy = Callable[[dict[str, Any]], float | None]
"""The test accuracy of a run; None for one that diverged, NaN for one that is missing."""


def run(accuracy: Accuracy, **what: Any) -> dict[str, Any]:
    """One row of runs.csv. ``what``: rule, optimizer, seed, and perhaps model, init, scale, lr."""
    what = {"model": "mlp", "init": "default", "scale": None, "lr": 0.1} | what
    found = accuracy(what)
    missing = found is not None and found != found
    row = {
        "identity": "-".join(str(v) for v in what.values()),
        "state": "pending" if missing else "diverged" if found is None else "done",
        "dataset.name": "digits",
        **{f"{s}.name": what[s] for s in ("model", "init", "optimizer", "rule")},
        "init.scale": what["scale"],
        "optimizer.lr": what["lr"],
        "rule.gamma": 0.5 if what["rule"] == "hybrid" else None,
        "seed": what["seed"],
    }
    if missing:
        return row
    row |= {"test/acc": found, "val/acc": found, "classes": 10}
    row |= {"provenance.commit": "0123456789abcdef", "provenance.dirty": False}
    return row | {"provenance.cpu": "A CPU", "provenance.cpus": 2, "provenance.device": "cpu"}


def runs(accuracy: Accuracy, **axes: Iterable[Any]) -> pd.DataFrame:
    """The grid of some axes; rule, optimizer and seed have some values if none are given."""
    axes = {
        "optimizer": ("sgd", "adam"),
        "rule": ("additive", "hybrid"),
        "seed": (0, 1, 2),
    } | axes
    grid = product(*axes.values())
    return pd.DataFrame([run(accuracy, **dict(zip(axes, point, strict=True))) for point in grid])


def curves(frame: Any, epochs: int = 4) -> pd.DataFrame:
    """Curves that rise linearly to each run's accuracy; a second an epoch."""
    rows = []
    for record in frame[frame["state"].isin(["done", "diverged"])].to_dict("records"):
        for epoch in range(1, epochs + 1):
            known = record["state"] == "done"
            share = epoch / epochs if known else float("nan")
            row = {"identity": record["identity"], "epoch": epoch, "seconds": float(epoch)}
            row |= {"train/loss": 2.5 - share, "val/acc": share * record["test/acc"]}
            rows.append(row)
    return pd.DataFrame(rows, columns=["identity", "epoch", "seconds", "train/loss", "val/acc"])


def write(folder: Path, frame: pd.DataFrame) -> Path:
    """A results folder of these runs and their curves."""
    save(frame, curves(frame), folder)
    return folder
