"""Images per second of training: gofau in each precision, compiled or not, and a plain loop."""

import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

from gofau.session.build import build

from .plain import Plain
from .rows import Row, at_least
from .workload import EPOCHS, TRAIN_IMAGES, configured, random_data

PLAIN = "plain loop"
GOALS = {"resnet18": 3.0, "resnet8": 2.2}
COMPILING = 25.0  # estimated seconds of a compilation, to decide whether there is time for it
LEAST, MOST = 3, 9  # numbers of rounds


@dataclass(frozen=True)
class Case:
    """A model on its data.

    Args:
        steps: steps per round, at least 2.
        seconds: the time limit; when it is near, rounds and compilations are left out.
        run: training images over all epochs of the run for which ``auto`` decides.
    """

    model: str
    shape: tuple[int, int, int]
    batch: int
    steps: int
    seconds: float
    run: int = TRAIN_IMAGES * EPOCHS


DIGITS = 1294 * EPOCHS
FULL = (
    Case("mlp", (1, 8, 8), 64, 200, 30, DIGITS),
    Case("small_cnn", (1, 8, 8), 64, 100, 35, DIGITS),
    Case("resnet8", (3, 32, 32), 128, 20, 75),
    Case("vgg11", (3, 32, 32), 128, 3, 75),
    Case("resnet18", (3, 32, 32), 128, 2, 115),
)
QUICK = (Case("mlp", (1, 8, 8), 8, 2, 0, DIGITS), Case("resnet8", (3, 32, 32), 4, 2, 0, 8))
# In order of importance: the last ones are left out first when time is short.
OURS = (("bf16", False), ("fp32", False), ("bf16", True), ("fp32", True))


class Contender(Protocol):
    """Something that trains. ``first``: the seconds of its first step."""

    first: float

    def round(self) -> float:
        """Train for some steps; returns images per second."""
        ...


class Ours:
    """A run as ``train.py`` builds it, with one epoch per round and without evaluation.
    ``seconds``: the estimated time of a round."""

    def __init__(self, case: Case, precision: str, compiled: bool, device: str = "cpu") -> None:
        config = configured(
            case.shape,
            case.batch * case.steps,
            f"model={case.model}",
            "optimizer.lr=0.01",
            "trainer.epochs=1000",  # more than are run, as the last one ends with a probe
            f"trainer.batch_size={case.batch}",
            f"trainer.precision={precision}",
            f"trainer.compile={str(compiled).lower()}",
            f"trainer.device={device}",
        )
        self.trainer = build(config).trainer
        done: list[float] = []
        began = time.perf_counter()
        self.trainer.run_epoch(lambda images: done.append(time.perf_counter()))
        self.first = done[0] - began
        self.seconds = (time.perf_counter() - began - self.first) * case.steps / (case.steps - 1)

    def round(self) -> float:
        return self.trainer.run_epoch()["examples_per_second"]


def plain(case: Case, device: str = "cpu") -> Plain:
    """The plain loop on the same model and images, with the weights that the seed gives."""
    images = random_data(list(case.shape), case.batch * case.steps).train
    words = (f"model={case.model}", "trainer.precision=fp32", "trainer.compile=false")
    torch.manual_seed(0)
    model = build(configured(case.shape, 1, *words, "trainer.device=cpu")).trainer.model
    model = model.to(device, memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return Plain(model, images.pixels, images.labels, case.batch)


def label(precision: str, compiled: bool) -> str:
    return f"{precision} compiled" if compiled else precision


def measure(quick: bool) -> Iterator[Row]:
    for case in QUICK if quick else FULL:
        yield from one(case)


def one(case: Case) -> Iterator[Row]:
    """Measure one model."""
    until = time.perf_counter() + case.seconds
    contenders: dict[str, Contender] = {PLAIN: plain(case)}
    left_out = []
    for precision, compiled in OURS:
        name = label(precision, compiled)
        if compiled and time.perf_counter() + _needs(contenders) > until:
            left_out.append(name)
        else:
            contenders[name] = Ours(case, precision, compiled)
    speeds = rounds(contenders, until)
    yield from compared(case, contenders, speeds, "CPU")
    for name in left_out:
        yield Row(f"{case.model} {name}", None, "images/s", note="left out: no time for it")
    yield from _chosen(case, ratios(speeds))


def _needs(contenders: dict[str, Contender]) -> float:
    """A high estimate of the seconds to compile one more contender and run the required rounds. It
    and the plain loop count as slow as the slowest one."""
    mine = [c.seconds for c in contenders.values() if isinstance(c, Ours)]
    return COMPILING + LEAST * (sum(mine) + 2 * max(mine))


def rounds(contenders: dict[str, Contender], until: float) -> dict[str, list[float]]:
    """Images per second of each contender in each round. All take turns within a round, so that
    changes of the machine's speed affect all."""
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for done in range(MOST):
        if done >= LEAST and time.perf_counter() > until:
            break
        for name, contender in contenders.items():
            speeds[name].append(contender.round())
    return speeds


def ratios(speeds: dict[str, list[float]]) -> dict[str, float]:
    """Each contender's speed divided by the plain loop's in the same round; the median."""
    base = speeds[PLAIN]
    return {
        name: statistics.median(a / b for a, b in zip(found, base, strict=True))
        for name, found in speeds.items()
    }


def compared(
    case: Case, contenders: dict[str, Contender], speeds: dict[str, list[float]], device: str
) -> Iterator[Row]:
    """One row per contender."""
    over = ratios(speeds)
    for name, found in speeds.items():
        about = f"{device}, batch {case.batch}, {len(found)} rounds of {case.steps} steps"
        one = contenders[name]
        if isinstance(one, Ours):
            about += f", {one.trainer.compute.memory_format}"
        yield Row(
            f"{case.model} {name}",
            statistics.median(found),
            "images/s",
            over[name],
            f"× {PLAIN}",
            note=f"{about}; first step {one.first:.1f} s",
        )


def _chosen(case: Case, over: dict[str, float]) -> Iterator[Row]:
    """The best of gofau, and what the default settings choose for a run of usual length."""
    mine = {name: ratio for name, ratio in over.items() if name != PLAIN}
    best = max(mine, key=lambda name: mine[name])
    auto = _auto(case)
    for kind, name in (("best", best), ("auto", auto)):
        ratio, goal = mine.get(name), None
        if ratio is not None and case.model in GOALS:
            goal = at_least(ratio, GOALS[case.model])
        note = name if ratio is not None else f"{name}: left out above"
        yield Row(f"{case.model} {kind}", ratio, f"× {PLAIN}", goal=goal, note=note)


def _auto(case: Case) -> str:
    """What the default settings take in a run of ``case.run`` on the CPU."""
    images = case.batch * case.steps
    words = (f"model={case.model}", f"trainer.batch_size={case.batch}", "trainer.device=cpu")
    epochs = f"trainer.epochs={math.ceil(case.run / images)}"
    taken = build(configured(case.shape, images, *words, epochs)).facts["compute"]
    return label(taken["precision"], taken["compiled"])
