"""Trains the runs of an experiment, and measures along each of them.

A task is called at the moments that the configuration names, and returns rows of csv files. What it
does must not change the training. ``trainings.csv`` has one row per training, with provenance.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from gofau.config.schema import Config
from gofau.measure import descent, weights
from gofau.measure.settings import Point, check
from gofau.runs import identity
from gofau.runs.provenance import columns
from gofau.runs.rows import write_rows
from gofau.session.build import Built, build

Rows = list[dict[str, Any]]
TASKS: Mapping[str, Callable[[Built, Config], Mapping[str, Rows]]] = {
    "descent": descent.measure,
    "weights": weights.measure,
}


def run(points: Sequence[Point], jobs: int = 1) -> list[Path]:
    """Train and measure, and write ``<results_dir>/<name>/``.

    Args:
        points: the runs of an experiment, as `gofau.config.grid.grid` yields them.
        jobs: how many trainings to carry out in parallel, each in a process of its own; 1: in this
            process.

    Returns:
        The files that were written.

    Raises:
        UserError: the section ``measure`` has a fault, or a run cannot be built; nothing is
            written.
    """
    settings = check(points)
    trainings: Rows = []
    files: dict[str, Rows] = {}
    for i, (training, measured) in enumerate(_each([c for _, c in points], jobs), start=1):
        trainings.append(training)
        for name, rows in measured.items():
            files.setdefault(name, []).extend(rows)
        value = "diverged" if training["diverged"] else f"{training['val']:.4g}"
        what = f"{training['optimizer']}, {training['rule']}, seed {training['seed']}"
        print(f"{i} of {len(points)}: {what}: val/{training['metric']} {value}", flush=True)
    folder = Path(settings["results_dir"]).expanduser() / settings["name"]
    # The trainings come last: where they exist, the other files do.
    for name, rows in (files | {"trainings.csv": trainings}).items():
        write_rows(folder / name, rows, digits=6)
    return [folder / name for name in (*files, "trainings.csv")]


Trained = tuple[dict[str, Any], dict[str, Rows]]
"""A training's row of ``trainings.csv``, and its rows of the other files."""


def _each(configs: Sequence[Config], jobs: int) -> Iterator[Trained]:
    """Train all, in order. The number of processes does not change the result."""
    if min(jobs, len(configs)) == 1:
        yield from map(_train, configs)
        return
    # Not forked: a copy of a process in which torch has threads may hang.
    pool = ProcessPoolExecutor(min(jobs, len(configs)), get_context("spawn"))
    try:
        yield from pool.map(_train, configs)
    finally:
        pool.shutdown(cancel_futures=True)  # after an error the others are not needed


def _train(config: Config) -> Trained:
    began, settings = time.process_time(), config["measure"]
    built, task = build(config), TASKS[settings["task"]]
    trainer, epochs = built.trainer, config["trainer"]["epochs"]
    moments = {round(share * epochs) for share in settings["moments"]}
    names = {key: config[key]["name"] for key in ("optimizer", "rule")} | {"seed": config["seed"]}
    files: dict[str, Rows] = {}
    for epoch in range(epochs + 1):
        if epoch:
            trainer.run_epoch()
        if trainer.divergence is not None and not trainer.divergence.finite:
            break  # there is nothing to measure at weights that are not finite
        if epoch in moments:
            for name, rows in task(built, config).items():
                files.setdefault(name, []).extend(names | {"epoch": epoch} | r for r in rows)
    metric = built.metric.name
    training = {
        **names,
        "identity": identity(config),
        "dataset": config["dataset"]["name"],
        "model": config["model"]["name"],
        "epochs": trainer.epoch,
        "steps": trainer.step,
        "metric": metric,
        "val": trainer.row.get(f"val/{metric}"),
        "train_loss": trainer.row.get("train/loss"),
        "diverged": trainer.divergence is not None,
        "cpu_seconds": time.process_time() - began,
    }
    return training | columns(str(trainer.compute.device)), files
