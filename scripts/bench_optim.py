"""What a step costs: gofau's optimizers beside torch's, on every path.

    python scripts/bench_optim.py [--steps 30] [--out results/bench_optim] [--device cpu]

Each base on the 62 tensors of ResNet18 (11 million elements), on an accelerator also on those of a
transformer of 350 million. All variants of a base take turns, in an order shuffled each round, so
that a machine that slows down does so for all: what counts is the ratio to torch's own optimizers,
the median over rounds of the ratios within a round. Writes ``bench.csv`` and ``bench.md``.
"""

import argparse
import csv
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from bench_report import REFERENCES, Row, report

import gofau.optim as ours
from gofau.models.resnet18 import resnet18
from gofau.optim import native

BASES: dict[str, tuple[dict[str, Any], int]] = {  # hyperparameters; tensors read and written
    "SGD": ({"lr": 1e-3, "momentum": 0.9}, 5),
    "Adagrad": ({"lr": 1e-2}, 5),
    "RMSprop": ({"lr": 1e-2}, 5),
    "Adam": ({"lr": 1e-3}, 7),
    "AdamW": ({"lr": 1e-3}, 7),
}
PATHS: dict[str, dict[str, Any]] = {
    "default": {},
    "loop": {"foreach": False, "fused": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}


def resnet18_shapes() -> list[torch.Size]:
    with torch.device("meta"):
        return [p.shape for p in resnet18((3, 32, 32), 10).parameters()]


def transformer_shapes() -> list[torch.Size]:
    """24 blocks of width 1024 with a vocabulary of 50257: 354 million elements in 292 tensors."""
    d = 1024
    block = [
        (3 * d, d),
        (3 * d,),
        (d, d),
        (d,),
        (4 * d, d),
        (4 * d,),
        (d, 4 * d),
        (d,),
        *[(d,)] * 4,
    ]
    shapes = [(50257, d), (1024, d), *block * 24, (d,), (d,)]
    return [torch.Size(shape) for shape in shapes]


def variants(base: str, shapes: list[torch.Size], device: str) -> Iterator[tuple[str, Any]]:
    """(name, optimizer) of all that take turns; each has weights and gradients of its own."""
    options, huge = BASES[base][0], sum(math.prod(shape) for shape in shapes) > 1e8
    for name, flags in PATHS.items():
        if name == "loop":
            continue
        optimizer = made(getattr(torch.optim, base), shapes, device, options | flags)
        if optimizer is not None:
            yield f"torch {name}", optimizer
    for rule in ("additive", "hybrid"):
        for name, flags in PATHS.items():
            if huge and (rule, name) not in (("hybrid", "foreach"), ("hybrid", "fused")):
                continue  # the memory of one device has to hold them all
            optimizer = made(getattr(ours, base), shapes, device, options | flags | {"rule": rule})
            yield f"ours {rule} {name}", optimizer
    for name in () if huge else ("default", "fused"):
        optimizer = made(getattr(torch.optim, base), shapes, device, options | PATHS[name])
        if optimizer is not None:
            ours.attach(optimizer, rule="hybrid")
            yield f"attach hybrid to torch {name}", optimizer


def made(make: Any, shapes: list[torch.Size], device: str, options: dict[str, Any]) -> Any:
    """The optimizer with weights and gradients, or None where torch has no such path."""
    generator = torch.Generator(device).manual_seed(0)
    params = []
    for shape in shapes:
        p = torch.empty(shape, device=device).normal_(0, 0.05, generator=generator)
        p.grad = torch.empty(shape, device=device).normal_(0, 0.01, generator=generator)
        params.append(p.requires_grad_())
    try:
        return make(params, **options)
    except TypeError:  # RMSprop has no fused
        return None


def interleaved(steps: dict[str, Callable[[], Any]], rounds: int, device: str) -> dict[str, list]:
    """Seconds of every call, round by round; three rounds before them warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    order, shuffle = list(steps), random.Random(0)
    for i in range(-3, rounds):
        shuffle.shuffle(order)
        for name in order:
            finish(device)
            start = time.perf_counter()
            steps[name]()
            finish(device)
            if i >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def finish(device: str) -> None:
    if device != "cpu":
        torch.accelerator.synchronize()


def copy_bandwidth(device: str, elements: int) -> float:
    """Bytes per second, read and written, of copying as many elements as a step streams."""
    a, b = torch.zeros(elements, device=device), torch.zeros(elements, device=device)
    seconds = interleaved({"copy": lambda: b.copy_(a)}, 20, device)["copy"]
    return 2 * 4 * elements / statistics.median(seconds)


def state_bytes(optimizer: torch.optim.Optimizer) -> int:
    tensors = [x for state in optimizer.state.values() for x in state.values()]
    return sum(x.numel() * x.element_size() for x in tensors if isinstance(x, torch.Tensor))


def bench(
    workload: str, shapes: list[torch.Size], base: str, rounds: int, device: str
) -> list[Row]:
    """One base on one workload: a row for each variant."""
    optimizers = dict(variants(base, shapes, device))
    seconds = interleaved({n: o.step for n, o in optimizers.items()}, rounds, device)
    elements = sum(math.prod(shape) for shape in shapes)
    streamed = BASES[base][1] * 4 * elements
    limit = copy_bandwidth(device, min(streamed // 8, 1 << 28))
    rows = []
    for name, optimizer in optimizers.items():
        median = statistics.median(seconds[name])
        row: Row = {"workload": workload, "base": base, "variant": name, "ms": median * 1e3}
        for reference in REFERENCES:
            ratios = zip(seconds[name], seconds.get(reference, ()), strict=False)
            row[f"/ {reference}"] = statistics.median([a / b for a, b in ratios] or [math.nan])
        row["share of copy bandwidth"] = streamed / median / limit
        row["state bytes"] = state_bytes(optimizer)
        rows.append(row)
    return rows


def compile_seconds() -> tuple[float, float]:
    """What compiling adds to the first fused step (Adam, hybrid): cold, and from the disk."""
    found = []
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, XDG_CACHE_HOME=folder):
        for _ in range(2):
            native._kernels.clear()
            optimizer = made(ours.Adam, [torch.Size([8])], "cpu", {"fused": True})
            times = [time.perf_counter()]
            for _ in range(2):
                optimizer.step()
                times.append(time.perf_counter())
            found.append((times[1] - times[0]) - (times[2] - times[1]))
    return found[0], found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=30, help="rounds, each with a step of all")
    parser.add_argument("--out", type=Path, default=Path("results/bench_optim"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    workloads = {"resnet18": resnet18_shapes()}
    if arguments.device != "cpu":
        workloads["transformer"] = transformer_shapes()
    rows = []
    for workload, shapes in workloads.items():
        for base in BASES:
            rows += bench(workload, shapes, base, arguments.steps, arguments.device)
            print(f"{workload}, {base}: measured", file=sys.stderr)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with open(arguments.out / "bench.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    text = report(rows, arguments.device, arguments.steps, compile_seconds())
    (arguments.out / "bench.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
