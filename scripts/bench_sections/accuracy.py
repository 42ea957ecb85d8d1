"""Compares accuracies: bfloat16 and compiled training against float32 and eager training."""

import math
import os
import statistics
from collections.abc import Iterator
from pathlib import Path

from .rows import Row, at_most
from .workload import trained

EAGER = ("trainer.precision=fp32", "trainer.compile=false")
COMPILED = ("trainer.precision=bf16", "trainer.compile=true")
DIGITS = ("dataset=digits", "model=small_cnn", "trainer.epochs=15")
CIFAR = ("dataset=cifar10_jpeg", "model=resnet8", "trainer.batch_size=128")
PART = ("dataset.train_size=10000", "trainer.epochs=3")


def measure(quick: bool) -> Iterator[Row]:
    if quick:
        words = ("trainer.epochs=1", "trainer.limit_batches=2")
        yield from _compare("digits", 2, ("trainer.precision=bf16", "trainer.compile=false"), words)
        return
    # One run in twenty ends 3 points below the others, which would distort a mean over few seeds.
    yield from _compare("digits, small_cnn, 15 epochs", 20, COMPILED, DIGITS)
    if not (Path(os.environ.get("GOFAU_DATA", "data")) / "cifar10-jpeg.zip").exists():
        yield Row("cifar10_jpeg", None, "", note="left out: cifar10-jpeg.zip is not in $GOFAU_DATA")
        return
    name = "cifar10_jpeg, 10,000 images, resnet8, 3 epochs"
    # Spreads of 0.9 to 1.6 points with three seeds, 2 to 3 with ten: three seeds are too few.
    yield from _compare(name, 10, COMPILED, (*CIFAR, *PART))
    for how, more in (("default", ()), ("compiled", ("trainer.compile=true",))):
        yield _epoch(how, *more)


def _compare(name: str, seeds: int, ours: tuple[str, ...], words: tuple[str, ...]) -> Iterator[Row]:
    """Compare test accuracies over the same seeds, in both settings."""
    means, spreads = [], []
    for how, arithmetic in (("fp32 eager", EAGER), (_name(ours), ours)):
        runs = [trained(*words, *arithmetic, f"seed={seed}") for seed in range(seeds)]
        found = [run["result"]["test/acc"] for run in runs]
        means.append(statistics.mean(found))
        spreads.append(statistics.stdev(found))
        every = ", ".join(f"{accuracy:.4f}" for accuracy in found)
        seconds = sum(run["result"]["seconds"] for run in runs)
        note = f"seeds: {every}; sd {spreads[-1]:.4f}; {seconds:.0f} s of training"
        yield Row(f"{name}: {how}", means[-1], "test accuracy", note=note)
    spread = math.sqrt(statistics.mean(sd**2 for sd in spreads))
    difference = means[1] - means[0]
    yield Row(f"{name}: spread of the seeds", spread, "sd", note="of both, pooled")
    goal = at_most(abs(difference), spread, "size")
    yield Row(f"{name}: difference", difference, "test accuracy", goal=goal)


def _name(words: tuple[str, ...]) -> str:
    return "bf16 compiled" if words == COMPILED else "bf16 eager"


def _epoch(how: str, *words: str) -> Row:
    """Time one epoch of 45,000 images. The comparison before has already compiled the graph."""
    status = trained(*CIFAR, "trainer.epochs=1", *words)
    result, compute = status["result"], status["compute"]
    kind = f"{compute['precision']}, {'compiled before' if compute['compiled'] else 'eager'}"
    note = f"{kind}; {result['seconds_total']:.1f} s with validation and test"
    name = f"an epoch of 45,000 images, cifar10_jpeg, resnet8, {how}"
    return Row(name, result["seconds"], "s", note=note)
