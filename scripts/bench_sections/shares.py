"""Where a step's time goes, measured by clocks around its parts."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import torch

from gofau.data.batches import Batches
from gofau.engine.compute import Compute
from gofau.engine.hardware import best_precision, device_of
from gofau.engine.trainer import Trainer
from gofau.session.build import build

from .images import label
from .rows import Row, at_most
from .workload import configured

BATCHES, MODEL, OPTIMIZER = "batches and augmentation", "forward and backward", "optimizer"
REST, OUTSIDE = "everything else", "all but forward and backward"
GOALS = {BATCHES: 0.03, OPTIMIZER: 0.05, OUTSIDE: 0.10}  # of resnet18
FULL = (("resnet18", 128, 8, 3), ("resnet8", 128, 60, 5))
QUICK = (("resnet8", 4, 3, 1),)


class Clocks:
    """Seconds spent in parts of a program.

    Args:
        device: on a GPU the clock waits until its work is done, so that each part includes the work
            it started. The parts then do not overlap, so an epoch is a little slower.
    """

    def __init__(self, device: torch.device) -> None:
        self.gpu = device.type == "cuda"
        self.seconds: dict[str, float] = defaultdict(float)

    def now(self) -> float:
        if self.gpu:
            torch.cuda.synchronize()
        return time.perf_counter()

    def call(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``function`` so that its calls are timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = self.now()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[part] += self.now() - began

        return timed

    def each(self, part: str, function: Callable[..., Iterator[Any]]) -> Callable[..., Any]:
        """Wrap ``function``, which returns an iterator, so that making each item is timed."""

        def timed(*args: Any, **kwargs: Any) -> Iterator[Any]:
            advance = self.call(part, function(*args, **kwargs).__next__)
            while True:
                try:
                    item = advance()
                except StopIteration:
                    return
                yield item

        return timed


def measure(quick: bool) -> Iterator[Row]:
    device = device_of("auto")
    for model, batch, steps, epochs in QUICK if quick else FULL:
        for compiled in (False,) if quick else (False, True):
            config = configured(
                (3, 32, 32),
                batch * steps,
                f"model={model}",
                "optimizer.lr=0.01",
                "trainer.epochs=1000",
                f"trainer.batch_size={batch}",
                f"trainer.compile={str(compiled).lower()}",
            )
            trainer = build(config).trainer
            trainer.run_epoch()  # warm-up: compiles, and fills caches
            found = [shares(trainer, device) for _ in range(epochs)]
            how = label(best_precision(device.type), compiled)
            yield from _rows(f"{model} {how}", found, f"{device.type}, batch {batch}", model)


def shares(trainer: Trainer, device: torch.device) -> dict[str, float]:
    """Each part's share of the time of the next epoch; ``ms``: the time of a whole step."""
    clocks = Clocks(device)
    places = (
        (BATCHES, clocks.each, Batches, "epoch"),
        (MODEL, clocks.call, Compute, "loss"),
        (MODEL, clocks.call, torch.Tensor, "backward"),
        (OPTIMIZER, clocks.call, trainer.optimizer, "step"),
    )
    with ExitStack() as stack:
        for part, clock, owner, name in places:
            stack.enter_context(patch.object(owner, name, clock(part, getattr(owner, name))))
        examples = trainer.examples_per_epoch()
        whole = examples / trainer.run_epoch()["examples_per_second"]
    found = {part: clocks.seconds[part] / whole for part in (BATCHES, MODEL, OPTIMIZER)}
    found[REST] = 1 - sum(found.values())
    return found | {OUTSIDE: 1 - found[MODEL], "ms": 1e3 * whole / trainer.steps_per_epoch()}


def _rows(name: str, found: list[dict[str, float]], note: str, model: str) -> Iterator[Row]:
    ms = statistics.median(one["ms"] for one in found)
    yield Row(f"{name}: a step", ms, "ms", note=note)
    for part in (BATCHES, MODEL, OPTIMIZER, REST, OUTSIDE):
        share = statistics.median(one[part] for one in found)
        has_goal = model == "resnet18" and part in GOALS
        goal = at_most(share, GOALS[part]) if has_goal else None
        yield Row(f"{name}: {part}", share, "of a step", goal=goal)
