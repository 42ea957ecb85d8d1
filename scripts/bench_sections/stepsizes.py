"""What a step size adds to a training step: ResNet8, each beside the base's own step size."""

import statistics
from collections.abc import Iterator

from gofau.engine.trainer import Trainer
from gofau.session.build import build

from .rows import Row, at_most
from .workload import configured

BASE = "base"
SIZES = (BASE, "trust_ratio", "layerwise", "layerwise_exact")
GOALS = {"layerwise": 2.5}
FULL, QUICK = (128, 10, 7), (4, 2, 1)
"""Batch size, steps per round, rounds."""


def measure(quick: bool) -> Iterator[Row]:
    for optimizer in ("sgd", "adamw"):
        yield from one(optimizer, *(QUICK if quick else FULL))


def one(optimizer: str, batch: int, steps: int, rounds: int) -> Iterator[Row]:
    """Measure all step sizes with one optimizer. They take turns within a round, so that changes of
    the machine's speed affect all; a ratio is the median of those within a round."""
    trainers = {size: made(optimizer, size, batch, steps) for size in SIZES}
    seconds: dict[str, list[float]] = {size: [] for size in SIZES}
    for trainer in trainers.values():
        trainer.run_epoch()  # warm-up
    for _ in range(rounds):
        for size, trainer in trainers.items():
            seconds[size].append(batch / trainer.run_epoch()["examples_per_second"])
    for size, found in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(found, seconds[BASE], strict=True))
        yield Row(
            f"resnet8 {optimizer} stepsize={size}: a step",
            1e3 * statistics.median(found),
            "ms",
            ratio,
            f"× stepsize={BASE}",
            at_most(ratio, GOALS[size], "×") if size in GOALS else None,
            note=f"batch {batch}, {rounds} rounds of {steps} steps",
        )


def made(optimizer: str, stepsize: str, batch: int, steps: int) -> Trainer:
    """A run as ``train.py`` builds it, with one epoch per round, in the default precision."""
    words = (f"optimizer={optimizer}", f"stepsize={stepsize}", "rule=additive", "model=resnet8")
    settings = (f"trainer.batch_size={batch}", "trainer.epochs=1000", "trainer.compile=false")
    config = configured((3, 32, 32), batch * steps, *words, *settings, "optimizer.lr=0.01")
    return build(config).trainer
