"""Results folders made up for tests: records of runs that nobody ran."""

from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from gofau.report.frames import save

Accuracy = Callable[[dict[str, Any]], float | None]
"""The test accuracy of a run; None for one that diverged, NaN for one that is missing."""
SEEDS = (0, 1, 2, 3, 4)


def run(accuracy: Accuracy, **what: Any) -> dict[str, Any]:
    """One row of runs.csv. ``what``: rule, optimizer, seed, and perhaps model, init, scale, lr,
    epochs."""
    what = {"model": "mlp", "init": "default", "scale": None, "lr": 0.1, "epochs": 4} | what
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
        "trainer.epochs": what["epochs"],
        "seed": what["seed"],
    }
    if missing:
        return row
    row |= {"test/acc": found, "val/acc": found, "classes": 10, "seconds": what["epochs"]}
    row |= {"provenance.commit": "0123456789abcdef", "provenance.dirty": False}
    return row | {"provenance.cpu": "A CPU", "provenance.cpus": 2, "provenance.device": "cpu"}


def runs(accuracy: Accuracy, **axes: Iterable[Any]) -> pd.DataFrame:
    """The grid of some axes; rule, optimizer and seed have some values if none are given."""
    axes = {
        "optimizer": ("sgd", "adam"),
        "rule": ("additive", "hybrid"),
        "seed": SEEDS,
    } | axes
    grid = product(*axes.values())
    return pd.DataFrame([run(accuracy, **dict(zip(axes, point, strict=True))) for point in grid])


def with_metric(frame: Any, name: str, values: Callable[[Any], Any]) -> pd.DataFrame:
    """The same runs, judged by a metric of which lower is better and that has no chance level; its
    values are made from the accuracies."""
    told = {"metric.name": name, "metric.higher_is_better": False, "metric.chance": None}
    made = {f"{part}/{name}": values(frame[f"{part}/acc"]) for part in ("test", "val")}
    return frame.drop(columns=["test/acc", "val/acc", "classes"]).assign(**told, **made)


def curves(frame: Any, epochs: int = 4) -> pd.DataFrame:
    """Curves that go linearly to each run's result; a second per epoch."""
    column = next(c for c in (*frame, "test/acc") if str(c).startswith("test/"))
    name = column.removeprefix("test/")
    rows = []
    for record in frame[frame["state"].isin(["done", "diverged"])].to_dict("records"):
        for epoch in range(1, epochs + 1):
            known = record["state"] == "done"
            share = epoch / epochs if known else float("nan")
            row = {"identity": record["identity"], "epoch": epoch, "seconds": float(epoch)}
            row |= {"train/loss": 2.5 - share, f"val/{name}": share * record[column]}
            rows.append(row)
    columns = ["identity", "epoch", "seconds", "train/loss", f"val/{name}"]
    return pd.DataFrame(rows, columns=columns)


def write(folder: Path, frame: pd.DataFrame) -> Path:
    """A results folder of these runs and their curves."""
    save(frame, curves(frame), folder)
    return folder
