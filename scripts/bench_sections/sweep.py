"""Sweeps of short runs by the command line: one process per run, one for all, several."""

import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from gofau.config.composer import Composer
from gofau.config.hydras import BASE

from .rows import Row, at_least, at_most
from .workload import ROOT, environment, trained

RATES = ("0.01", "0.02", "0.05", "0.1")


@dataclass(frozen=True)
class Size:
    """How much is measured. ``separate``: the number of runs that get their own process.
    ``smaller``: (seeds, rates) of smaller sweeps, to see how the time grows."""

    seeds: int
    rates: int
    epochs: int
    separate: int
    smaller: tuple[tuple[int, int], ...]
    inside: int
    further: int


FULL = Size(16, 4, 10, 6, ((1, 1), (1, 4), (4, 4)), 8, 128)
QUICK = Size(2, 1, 1, 1, (), 1, 1)


@dataclass(frozen=True)
class Spent:
    """Seconds of a whole command, and of each of its runs: of training alone, and of training and
    evaluation."""

    whole: float
    training: list[float]
    evaluated: list[float]


def train(*words: str) -> Spent:
    """Run ``python train.py WORDS``, in a folder that is removed afterwards."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "train.py"), *words, f"paths.runs_dir={folder}/runs"]
        began = time.perf_counter()
        done = subprocess.run(
            command, cwd=folder, env=environment(), capture_output=True, text=True, check=False
        )
        whole = time.perf_counter() - began
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        found = sorted(Path(folder, "runs").glob("*-*/status.json"))
        results = [json.loads(path.read_text(encoding="utf-8"))["result"] for path in found]
        training, evaluated = ([r[key] for r in results] for key in ("seconds", "seconds_total"))
        return Spent(whole, [*training], [*evaluated])


def sweep(seeds: int, rates: int, epochs: int, *words: str) -> Spent:
    """Run a sweep of seeds × rates runs on the digits, by one command."""
    axes = (
        f"seed={','.join(map(str, range(seeds)))}",
        f"optimizer.lr={','.join(RATES[:rates])}",
        f"trainer.epochs={epochs}",
    )
    spent = train("-m", *axes, *words)
    if len(spent.training) != seeds * rates:
        raise RuntimeError(f"{seeds * rates} runs were wanted, {len(spent.training)} are there")
    return spent


def measure(quick: bool) -> Iterator[Row]:
    size = QUICK if quick else FULL
    runs = size.seeds * size.rates
    train("trainer.epochs=1", "trainer.limit_batches=1")  # warm-up of the caches
    singles = [
        train(f"seed={i}", f"optimizer.lr={RATES[i % 4]}", f"trainer.epochs={size.epochs}")
        for i in range(size.separate)
    ]
    mean = statistics.mean(one.whole for one in singles)
    basic = sweep(size.seeds, size.rates, size.epochs, "hydra/launcher=basic")
    local = sweep(size.seeds, size.rates, size.epochs)
    yield Row(
        f"{runs} runs, one process per run, one after another",
        mean * runs,
        "s",
        note=f"{size.separate} were run, {mean:.2f} s each, and scaled to all; "
        f"{statistics.mean(one.training[0] for one in singles):.2f} s each is training",
    )
    for name, spent in (("one process", basic), ("the default launcher", local)):
        training = sum(spent.training)
        note = f"training alone: {training:.1f} s, summed over the runs"
        yield Row(f"{runs} runs, {name}", spent.whole, "s", note=note)
    yield from _goals(mean * runs, basic, local)
    yield from _growth(size, local)
    yield from inside(size.inside, size.epochs)
    yield _further(size.further)


def _goals(separate: float, basic: Spent, local: Spent) -> Iterator[Row]:
    best = min(basic.whole, local.whole)
    over = basic.whole / sum(basic.training)
    wanted = (
        ("separate processes over the best sweep", separate / best, at_least(separate / best, 10)),
        ("one process over its training alone", over, at_most(over, 1.3)),
        (
            "one process over the default launcher",
            basic.whole / local.whole,
            at_least(basic.whole / local.whole, 1.4),
        ),
    )
    for name, ratio, goal in wanted:
        yield Row(name, ratio, "×", goal=goal)
    cores = len(os.sched_getaffinity(0))
    alone = separate / (sum(local.training) / cores)
    note = f"on {cores} cores: the ratio if nothing but training took time"
    yield Row("separate processes over the training alone", alone, "×", note=note)


def _growth(size: Size, whole: Spent) -> Iterator[Row]:
    for seeds, rates in size.smaller:
        spent = sweep(seeds, rates, size.epochs)
        note = f"{spent.whole / (seeds * rates):.2f} s per run"
        yield Row(f"default launcher, {seeds * rates} runs", spent.whole, "s", note=note)
    runs = size.seeds * size.rates
    note = f"{whole.whole / runs:.2f} s per run; the same as above"
    yield Row(f"default launcher, {runs} runs", whole.whole, "s", note=note)


def _further(runs: int) -> Row:
    """The cost of one more run in a process, without training and evaluation but with Hydra: from
    the difference of two sweeps of different length."""
    short, long = (sweep(n, 1, 1, "hydra/launcher=basic") for n in (1, 1 + runs))
    spent = (long.whole - short.whole) - (sum(long.evaluated) - sum(short.evaluated))
    goal = at_most(spent / runs, 0.04)
    note = f"1 and {1 + runs} runs of an epoch, from outside"
    return Row(
        "a further run: all but training and evaluation", spent / runs, "s", goal=goal, note=note
    )


def inside(runs: int, epochs: int) -> Iterator[Row]:
    """The cost of a run of a sweep without its epochs, in a process that has already done one."""
    words = (f"trainer.epochs={epochs}", "trainer.device=cpu")
    trained(*words)
    found = [trained(f"seed={1 + i}", *words) for i in range(runs)]

    def mean(name: str, seconds: list[float], note: str) -> Row:
        return Row(f"a run: {name}", statistics.mean(seconds), "s", note=note)

    results = [one["result"] for one in found]
    yield mean("training", [r["seconds"] for r in results], f"mean of {runs} runs")
    gofau = [s["wall"] - r["seconds"] for s, r in zip(found, results, strict=True)]
    yield mean("gofau beside training", gofau, "all of gofau.cli.run.run but training")
    after = [r["seconds_total"] - r["seconds"] for r in results]
    yield mean("of that, evaluation and metrics", after, "validation every epoch, test at the end")
    hydra = composing(runs)
    yield mean("Hydra's composition", hydra[:1], "of the first of a choice of groups")
    yield mean("the next one's composition", hydra[1:], "which differs in values")


def composing(runs: int) -> list[float]:
    """Seconds to compose the configuration of each of a sweep's first runs."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "configs"), **BASE):
        loader = Composer(GlobalHydra.instance().config_loader().get_search_path())
        master = loader.load_configuration("train", [], RunMode.MULTIRUN)
        stamps = [time.perf_counter()]
        for i in range(runs + 1):
            loader.load_sweep_config(master, [f"seed={i}", f"optimizer.lr={RATES[i % 4]}"])
            stamps.append(time.perf_counter())
    return [b - a for a, b in itertools.pairwise(stamps)]
