"""What ``trainer.memory_format=auto`` and ``trainer.compile=auto`` take: what is faster here.

Which memory format is faster depends on processor, precision, model and image size, and so does the
gain of compiling; so both are measured, once per machine and case (`gofau.engine.measurements`).
*Whether* to measure depends on the configuration alone. Short runs are not measured: they take
channels last, not compiled, so that they give the same bits wherever these are reproducible.
"""

import copy
import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gofau.engine.compilation import Compiled, operations, pays
from gofau.engine.compute import FORMATS, LAST, Compute, has_formats
from gofau.engine.hardware import processor_flags
from gofau.engine.measurements import folder, measured
from gofau.engine.timing import seconds_per_call
from gofau.problems import Batch, Loader, Problem
from gofau.runs.provenance import provenance

log = logging.getLogger(__name__)

AUTO = "auto"
FROM_OPERATIONS = {"cpu": 1e12, "cuda": 1e15}
"""The fewest floating point operations of a run whose memory format is measured: some ten seconds
of work on one core of a CPU, a thirtieth of what a run needs to be compiled."""
FROM_STEPS = 200
"""The fewest steps of such a run: measuring takes 8 or more of them."""
CLEARLY = 0.9
"""The usual choice is left only for one that takes less than this share of its time. A smaller
gain could be noise; and of the shortest run that may be compiled, compiling takes about a tenth."""


def worth_measuring(
    device: torch.device,
    model: nn.Module,
    example: tuple[Tensor, ...],
    steps: int,
    batch: int,
) -> bool:
    """Whether a run is long enough for its memory format to be measured.

    Args:
        device: the device that the run trains on.
        model, example: the network and its inputs for one example, both on one device.
        steps: those of the whole run.
        batch: examples per step.
    """
    least = FROM_OPERATIONS.get(device.type)
    if least is None or steps < FROM_STEPS or not has_formats(model):
        return False
    return steps * batch * operations(model, example) >= least


def clearly_faster(seconds: Mapping[str, float], usual: str) -> str:
    """The name with the fewest seconds if it is clearly faster than the usual one, else the usual.

    >>> clearly_faster({"a": 1.0, "b": 0.95}, usual="a")
    'a'
    >>> clearly_faster({"a": 1.0, "b": 0.6}, usual="a")
    'b'
    """
    best = min(seconds, key=lambda name: seconds[name])
    return best if seconds[best] < CLEARLY * seconds[usual] else usual


class Chooser:
    """Chooses for a run that is about to start. Nothing of the run is changed: its model is copied,
    and random number generators are restored.

    Args:
        problem, model: those of the run; the model is on the CPU.
        train: its training batches; read only if there is something to measure.
        example: the model's inputs for one example, on the CPU.
        steps: those of the whole run.
        processes: how many train together, each with its share of every batch.
        case: what else the seconds of a step depend on, besides hardware, precision and the
            shapes of batches: JSON values.
    """

    def __init__(
        self,
        problem: Problem,
        model: nn.Module,
        train: Loader,
        example: tuple[Tensor, ...],
        steps: int,
        processes: int,
        case: Mapping[str, Any],
    ) -> None:
        self.problem, self.model, self.steps = problem, model, steps
        self.train, self.example = train, example
        self.batch = train.count(0)
        self.share = self.batch // processes
        self.case = {
            **case,
            "example": [list(x.shape) for x in example],
            "batch": self.share,
        }

    def choose(self, compute: Compute, layout: str, compiled: bool | str) -> tuple[str, bool]:
        """The memory format and whether to compile, given the settings of the configuration.

        Args:
            compute: device and precision.
            layout, compiled: the settings; those that are ``auto`` are chosen.
        """
        layout = self._memory_format(compute) if layout == AUTO else layout
        if compiled == AUTO:
            compiled = self._compiled(replace(compute, memory_format=layout))
        return layout, bool(compiled)

    def _memory_format(self, compute: Compute) -> str:
        sizes = (self.example, self.steps, self.batch)
        if not worth_measuring(compute.device, self.model, *sizes):
            return LAST
        ways = {name: replace(compute, memory_format=name, compiled=None) for name in FORMATS}
        return clearly_faster(self._seconds("memory_format", compute, ways), LAST)

    def _compiled(self, compute: Compute) -> bool:
        examples = self.steps * self.batch
        if not pays(compute.device, self.model, self.example, examples):
            return False
        ways = {
            "false": replace(compute, compiled=None),
            "true": replace(compute, compiled=Compiled(self.share)),
        }
        return clearly_faster(self._seconds("compile", compute, ways), "false") == "true"

    def _seconds(self, key: str, usual: Compute, ways: Mapping[str, Compute]) -> dict[str, float]:
        question = {"choice": key, "of": [*ways], **machine(usual), **self.case}
        if key == "compile":
            question["memory_format"] = usual.memory_format
        return measured(question, functools.partial(self._measure, key, ways))

    def _measure(self, key: str, ways: Mapping[str, Compute]) -> dict[str, float]:
        batch = next(iter(self.train.epoch()))
        device = batch[0].device
        # Dropout draws random numbers, which are the run's.
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            found = seconds_per_call({name: self._step(way, batch) for name, way in ways.items()})
        shown = ", ".join(f"{name} {1e3 * each:.3g} ms" for name, each in found.items())
        log.info("trainer.%s=auto: measured %s per step, kept in %s", key, shown, folder())
        return found

    def _step(self, compute: Compute, batch: Batch) -> Callable[[], None]:
        twin = compute.place(copy.deepcopy(self.model).train())

        def step() -> None:
            loss, _ = compute.loss(self.problem, twin, batch, training=True)
            loss.backward()
            twin.zero_grad(set_to_none=True)
            if compute.device.type == "cuda":
                torch.cuda.synchronize(compute.device)

        return step


def machine(compute: Compute) -> dict[str, Any]:
    """The hardware and software that the seconds of a step depend on."""
    found = provenance(str(compute.device))
    return {
        **{key: found[key] for key in ("platform", "cpu", "device")},
        # A virtual machine may hide the name of the CPU.
        "instructions": " ".join(sorted(processor_flags())),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "precision": compute.precision,
    }
