"""Measured speed as a table, from the records of `make bench`: for README and docs/speed.md."""

import re
from collections.abc import Iterator
from typing import Any

import pandas as pd

from docs._ext.sources import RESULTS

STEPS, TRAINING = RESULTS / "bench_optim" / "bench.csv", RESULTS / "bench_train" / "bench.csv"
MODELS = {"resnet8": "a thin ResNet8", "resnet18": "ResNet18"}
TOP = ("what", "measured", "compared", "rounds", "hardware")
OF_TORCH = {"x torch default": "torch's default step", "x torch fused": "torch's fused step"}


def measured() -> str:
    """The table: one row per quantity, each with its hardware."""
    rows = [*_steps(), *_training()]
    lines = [f"| {' | '.join(TOP)} |", "|---" * len(TOP) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _steps() -> Iterator[tuple[str, ...]]:
    """Of the optimizers that torch has under the same name, on a CPU, without a flag."""
    bench = pd.read_csv(STEPS)
    mine = bench[(bench["device"] == "cpu") & (bench["model"] == "resnet18")]
    mine = mine[(mine["optimizer"] == "gofau hybrid") & ~mine["base"].str.contains("beside")]
    beside = ", ".join(f"× {_range(mine[x])} of {words}" for x, words in OF_TORCH.items())
    what = f"a step of the hybrid rule, ResNet18's weights, {' · '.join(mine['base'])}"
    one = mine.iloc[0]
    yield what, f"{_range(mine['ms'])} ms", beside, str(one["rounds"]), _hardware(one)
    found = str(one["import gofau.optim after torch"])
    yield "`import gofau.optim`, after torch", found, "", "", _hardware(one)


def _training() -> Iterator[tuple[str, ...]]:
    bench = pd.read_csv(TRAINING).set_index("name")
    for model, words in MODELS.items():
        auto = bench.loc[f"{model} auto"]
        way = bench.loc[f"{model} {auto['note']}"]
        batch = re.findall(r"batch \d+", str(way["note"]))[0]
        beside = f"× {_number(auto['value'])} of a plain fp32 loop with a DataLoader"
        what = f"training {words}, 32×32 images, {batch}, {auto['note']}"
        yield what, f"{_number(way['value'])} images/s", beside, _rounds(way), _hardware(way)
    for base in ("sgd", "adamw"):
        step = bench.loc[f"resnet8 {base} stepsize=layerwise: a step"]
        beside = f"× {_number(step['ratio'])} of the usual step"
        what = f"a step with `stepsize=layerwise`, ResNet8, {base}"
        yield what, f"{_number(step['value'])} ms", beside, _rounds(step), _hardware(step)
    sweep = bench.loc["64 runs, the default launcher"]
    times = _number(bench.loc["separate processes over the best sweep", "value"])
    beside = f"× 1/{times} of one process per run"
    yield "a sweep of 64 runs of a second", f"{_number(sweep['value'])} s", beside, "", _hardware(sweep)
    first = bench.loc["train.py to the end of the first step"]
    what = "`python train.py` to the end of its first step"
    yield what, f"{_number(first['value'])} s", "", "", _hardware(first)


def _rounds(row: Any) -> str:
    return next(iter(re.findall(r"(\d+) rounds", str(row["note"]))), "")


def _hardware(row: Any) -> str:
    return f"{row['cpus']} cores of {row['cpu']}"


def _range(values: Any) -> str:
    return f"{_number(values.min())} to {_number(values.max())}"


def _number(value: Any) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"
