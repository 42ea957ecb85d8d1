"""The training loop. It knows no concrete problem, optimizer, dataset, model or logger."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gofau.engine.compute import Compute
from gofau.engine.distributed import World
from gofau.engine.evaluation import evaluate
from gofau.engine.stepper import Stepper
from gofau.problems import Batch, Loader, Problem


@dataclass(frozen=True)
class Settings:
    """Settings of the training besides problem, model, optimizer and schedule.

    Attributes:
        epochs: passes over the training set, ≥ 1.
        clip_norm: largest norm of the gradient of all parameters; None for no clipping.
        limit_batches: largest number of batches per epoch; None for all.
    """

    epochs: int
    clip_norm: float | None = None
    limit_batches: int | None = None


@dataclass(frozen=True)
class Divergence:
    """Where and how a run diverged: a loss that is not finite, or a final loss above the initial
    one. ``finite`` says whether the weights are still finite, in which case the run was trained to
    its end."""

    step: int
    epoch: int
    reason: str
    finite: bool


class Trainer:
    """A training run, one epoch at a time.

    Within an epoch nothing waits for the device: losses and metrics stay there and are read when
    the epoch is over. Divergence is found then, too, and the step at which it began is reported.

    The initial and the final training loss are both measured on the run's first batch, with its
    augmentation and in training mode: before the first step and after the last. With the same
    examples there is no sampling noise, so that a run that has learnt nothing is not called
    diverged by chance.

    Args:
        problem: what a batch is, its loss and its metrics.
        model: already placed by ``compute``.
        optimizer, scheduler: for the model's parameters; the schedule advances at every step.
        train, validation: this process's share of the batches.
        settings: how to train.
        compute: the arithmetic.
        world: the processes that train together.

    Example:
        >>> while trainer.epoch < settings.epochs and not trainer.divergence:  # doctest: +SKIP
        ...     row = trainer.run_epoch()
    """

    def __init__(
        self,
        problem: Problem,
        model: nn.Module,
        optimizer: Optimizer,
        scheduler: LRScheduler,
        train: Loader,
        validation: Loader,
        settings: Settings,
        compute: Compute | None = None,
        world: World | None = None,
    ) -> None:
        self.problem, self.model = problem, model
        self.optimizer, self.scheduler = optimizer, scheduler
        self.train, self.validation, self.settings = train, validation, settings
        self.compute, self.world = compute or Compute(), world or World()
        self.network = self.world.wrap(model)
        self.stepper = Stepper(optimizer, model, settings.clip_norm)
        self.epoch = 0
        self.batch = 0  # number of batches done in this epoch
        self.step = 0
        self.seconds = 0.0
        self.start_loss: float | None = None
        self.divergence: Divergence | None = None
        self.row: dict[str, Any] = {}  # what the last complete epoch returned
        # Of this epoch: per batch, the sum over its examples of the loss and of each metric.
        self.sums: dict[str, list[Tensor]] = {name: [] for name in ("loss", *problem.metrics)}
        self._epoch_seconds = 0.0
        self._last_lr: Any = math.nan

    def steps_per_epoch(self) -> int:
        return steps_per_epoch(self.train, self.settings)

    def examples_per_epoch(self) -> int:
        """Training examples per epoch, over all processes."""
        return sum(self.train.count(batch) for batch in range(self.steps_per_epoch()))

    def examples_done(self) -> int:
        """Training examples so far, over all epochs."""
        now = sum(self.train.count(batch) for batch in range(self.batch))
        return self.epoch * self.examples_per_epoch() + now

    def run_epoch(self, on_batch: Callable[[int], None] = lambda examples: None) -> dict[str, Any]:
        """Train to the end of the epoch, evaluate on the validation part, return a row of metrics.

        Args:
            on_batch: called after every batch with its number of examples (over all processes). At
                that moment the trainer's state is consistent: its `state_dict` may be taken, and
                it may raise to leave the epoch where it is.

        Returns:
            epoch (1 for the first), step, lr; train/loss and each metric of the problem as
            train/<name>, as seen while training; the same as val/…; seconds (of training so far,
            evaluation not counted) and examples_per_second.
        """
        self._mark = time.perf_counter()
        self.model.train()
        left = self.steps_per_epoch() - self.batch
        for batch in islice(self.train.epoch(self.epoch, self.batch), left):
            if self.start_loss is None:
                self.start_loss = self.probe(batch)
            examples = self.train.count(self.batch)
            self._one_step(batch, examples)
            on_batch(examples)
        sums = {
            name: self.world.sum(torch.stack(each).double()).cpu()
            for name, each in self.sums.items()
        }
        self._tick()
        self.epoch += 1
        self._look_for_divergence(sums["loss"])
        examples = self.examples_per_epoch()
        row = {"epoch": self.epoch, "step": self.step, "lr": float(self._last_lr)}
        row |= {f"train/{name}": each.sum().item() / examples for name, each in sums.items()}
        found = evaluate(self.problem, self.model, self.validation, self.compute, self.world)
        row |= {f"val/{name}": value for name, value in found.items()}
        speed = examples / self._epoch_seconds
        self.batch, self._epoch_seconds = 0, 0.0
        self.sums = {name: [] for name in self.sums}
        self.row = row | {"seconds": self.seconds, "examples_per_second": speed}
        return self.row

    def _one_step(self, batch: Batch, examples: int) -> None:
        here = self.problem.count(batch)
        # Processes average their gradients, but the last batch may not divide into equal shares.
        share = here * self.world.size / examples
        seen: list[Tensor] = []

        def loss() -> Tensor:
            value, metrics = self.compute.loss(self.problem, self.network, batch, training=True)
            if not seen:  # an optimizer may ask again, with other weights
                seen[:] = [value.detach() * here, *(metric.detach() for metric in metrics)]
            return value if share == 1 else value * share

        self._last_lr = self.optimizer.param_groups[0]["lr"]
        self.stepper.step(loss)
        self.scheduler.step()
        for each, value in zip(self.sums.values(), seen, strict=True):
            each.append(value)
        self.step += 1
        self.batch += 1

    def _tick(self) -> None:
        now = time.perf_counter()
        self.seconds += now - self._mark
        self._epoch_seconds += now - self._mark
        self._mark = now

    def probe(self, batch: Batch) -> float:
        """The training loss of one batch with the current weights. The model is not changed: a copy
        is used, since BatchNorm would update its running statistics."""
        twin = copy.deepcopy(self.model).train()
        with torch.no_grad():
            loss, _ = self.compute.loss(self.problem, twin, batch, training=True)
        here = self.problem.count(batch)
        total = self.world.sum(torch.stack([loss * here, loss.new_tensor(here)]).double())
        return (total[0] / total[1]).item()

    def _look_for_divergence(self, sums: Tensor) -> None:
        bad = (~torch.isfinite(sums)).nonzero()
        if len(bad):
            step = self.step - len(sums) + int(bad[0]) + 1  # there is one sum per step of the epoch
            reason = "the training loss is not finite"
            self.divergence = Divergence(step, self.epoch, reason, finite=False)
        elif self.epoch == self.settings.epochs and self.start_loss is not None:
            end = self.probe(next(iter(self.train.epoch(0))))
            if not end <= self.start_loss:  # also true for a NaN
                reason = (
                    f"the training loss ends at {end:.4g}, above the {self.start_loss:.4g} it"
                    " began with"
                )
                finite = math.isfinite(end)
                self.divergence = Divergence(self.step, self.epoch, reason, finite)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to resume, weights and schedule included: tensors and plain values.
        Processes that train together must all call this at the same step."""
        if self.batch:
            self._tick()
        progress = {name: getattr(self, name) for name in _PROGRESS}
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "progress": progress | {"_last_lr": float(self._last_lr)},
            "sums": {
                name: self.world.sum(torch.stack(each)) if each else torch.zeros(0)
                for name, each in self.sums.items()
            },
            "divergence": None if self.divergence is None else asdict(self.divergence),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        for name in (*_PROGRESS, "_last_lr"):
            setattr(self, name, state["progress"][name])
        # They are sums over all processes: the first one takes them, the others start with zeros.
        self.sums = {
            name: [*(state["sums"][name].to(self.compute.device) * int(self.world.first))]
            for name in self.sums
        }
        found = state["divergence"]
        self.divergence = None if found is None else Divergence(**found)


_PROGRESS = ("epoch", "batch", "step", "seconds", "_epoch_seconds", "start_loss", "row")


def steps_per_epoch(train: Loader, settings: Settings) -> int:
    """Batches in an epoch."""
    limit = settings.limit_batches
    return len(train) if limit is None else min(len(train), limit)
