"""Measured speed as a table, from the records of `make bench`: for README and docs/speed.md."""

import re
from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch

from docs._ext.sources import RESULTS
from gofau.report.types import Frame

STEPS, TRAINING = RESULTS / "bench_optim" / "bench.csv", RESULTS / "bench_train" / "bench.csv"
TOP = ("what", "measured", "compared", "rounds", "hardware")
OF_TORCH = {"x torch default": "torch's default step", "x torch fused": "torch's fused step"}


def measured() -> str:
    """The table: one row per quantity, each with its hardware."""
    rows = [*_steps(), *_training()]
    lines = [f"| {' | '.join(TOP)} |", "|---" * len(TOP) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _steps() -> Iterator[tuple[str, ...]]:
    """Of the optimizers that torch has under the same name, on a CPU, without a flag."""
    bench: Frame = pd.read_csv(STEPS)
    mine = bench[(bench["device"] == "cpu") & (bench["model"] == "resnet18")]
    mine = mine[(mine["optimizer"] == "gofau hybrid") & mine["base"].isin(dir(torch.optim))]
    beside = ", ".join(f"{_range(mine[x])} × {words}" for x, words in OF_TORCH.items())
    what = f"a step of the hybrid rule with {', '.join(mine['base'])}, ResNet18's weights"
    one = mine.iloc[0]
    yield what, f"{_range(mine['ms'])} ms", beside, str(one["rounds"]), _hardware(one)
    found = str(one["import gofau.optim after torch"])
    yield "`import gofau.optim`, after torch", found, "", "", _hardware(one)


def _training() -> Iterator[tuple[str, ...]]:
    bench: Frame = pd.read_csv(TRAINING).set_index("name")
    auto = bench.loc["resnet18 auto"]
    way = bench.loc[f"resnet18 {auto['note']}"]
    batch = re.findall(r"batch \d+", str(way["note"]))[0]
    beside = f"{_number(auto['value'])} times as fast as a plain fp32 loop with a DataLoader"
    what = f"training ResNet18 on 32×32 images, {batch}, {auto['note']}"
    yield what, f"{_number(way['value'])} images/s", beside, _rounds(way), _hardware(way)
    step = bench.loc["resnet8 sgd stepsize=layerwise: a step"]
    beside = f"{_number(step['ratio'])} × the usual step"
    what = "a training step with `stepsize=layerwise`, a thin ResNet8, SGD"
    yield what, f"{_number(step['value'])} ms", beside, _rounds(step), _hardware(step)
    sweep = bench.loc["64 runs, the default launcher"]
    times = _number(bench.loc["separate processes over the best sweep", "value"])
    beside = f"{times} times as fast as one process per run"
    yield "a sweep of 64 short runs", f"{_number(sweep['value'])} s", beside, "", _hardware(sweep)
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
    """With two significant digits, or to the unit."""
    return f"{value:,.0f}" if value >= 10 else f"{value:#.2g}"
