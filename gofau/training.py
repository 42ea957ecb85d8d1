"""Train and evaluate a classifier. Knows no concrete optimizer, dataset, model or logger."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

Batch = tuple[Tensor, Tensor]


class Source(Protocol):
    """Batches of (x, y): float images (B, C, H, W) and int64 labels (B,), on the model's device."""

    def __len__(self) -> int: ...

    def epoch(self, epoch: int = 0) -> Iterator[Batch]:
        """The batches of that epoch: the same whenever it is asked for again."""
        ...


@dataclass(frozen=True)
class Settings:
    """How to train, beyond model, data, optimizer and schedule.

    Attributes:
        epochs: passes over the training set, ≥ 1.
        label_smoothing: in [0, 1), as in torch's cross_entropy; evaluation never smooths.
        clip_norm: the largest norm of the whole gradient; None leaves it alone.
        limit_batches: batches an epoch at most; None for all.
    """

    epochs: int
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    limit_batches: int | None = None


@dataclass(frozen=True)
class Divergence:
    """Where and how a run diverged: a non-finite loss, or a loss at the end above that at the
    start. ``whole`` says whether the weights are still numbers, in which case the run went its full
    length."""

    step: int
    epoch: int
    reason: str
    whole: bool


class Trainer:
    """One training run, an epoch at a time.

    Inside an epoch nothing waits for the device: losses and hits are summed there, and looked at
    when the epoch is over, divergence included, which is then dated to its step.

    "A training loss at the end above that at the start" is measured on the run's first batch, with
    its augmentation and in training mode both times: before the first step and after the last. The
    same examples cancel the noise of the draw, so that a run that has learnt nothing is not
    called diverged by chance.

    Example:
        >>> while trainer.epoch < settings.epochs and not trainer.divergence:  # doctest: +SKIP
        ...     row = trainer.run_epoch()
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        scheduler: LRScheduler,
        train: Source,
        validation: Source,
        settings: Settings,
    ) -> None:
        self.model, self.optimizer, self.scheduler = model, optimizer, scheduler
        self.train, self.validation, self.settings = train, validation, settings
        self.epoch = 0
        self.step = 0
        self.seconds = 0.0
        self.start_loss: float | None = None
        self.divergence: Divergence | None = None

    def steps_per_epoch(self) -> int:
        return steps_per_epoch(self.train, self.settings)

    def run_epoch(self, on_batch: Callable[[int], None] = lambda images: None) -> dict[str, Any]:
        """Train for one epoch, evaluate on the validation part, and return a row of metrics.

        Args:
            on_batch: called after every batch with its number of images.

        Returns:
            epoch (1 for the first), step, lr, train/loss, train/acc (both as seen while training),
            val/loss, val/acc, seconds (of training so far, evaluation not counted) and
            images_per_second.
        """
        began = time.perf_counter()
        self.model.train()
        losses, hits, images = [], [], 0
        for i, (x, y) in enumerate(self.train.epoch(self.epoch)):
            if i == self.steps_per_epoch():
                break
            if self.start_loss is None:
                self.start_loss = self.probe(x, y)
            loss, correct = self._one_step(x, y)
            losses.append(loss * len(y))
            hits.append(correct)
            images += len(y)
            on_batch(len(y))
        sums = torch.stack(losses).double()
        train_loss, train_acc = sums.sum().item() / images, torch.stack(hits).sum().item() / images
        took = time.perf_counter() - began
        self.seconds += took
        self.epoch += 1
        self._look_for_divergence(sums)
        row = {"epoch": self.epoch, "step": self.step, "lr": float(self._last_lr)}
        row |= {"train/loss": train_loss, "train/acc": train_acc}
        row |= {f"val/{k}": v for k, v in evaluate(self.model, self.validation).items()}
        return row | {"seconds": self.seconds, "images_per_second": images / took}

    def _one_step(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.model(x)
        loss = cross_entropy(logits, y, label_smoothing=self.settings.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self._last_lr = self.optimizer.param_groups[0]["lr"]
        self.optimizer.step()
        self.scheduler.step()
        self.step += 1
        return loss.detach(), (logits.detach().argmax(1) == y).sum()

    def probe(self, x: Tensor, y: Tensor) -> float:
        """The training loss of one batch as the model stands, leaving no trace in it (BatchNorm's
        running statistics are those of a copy)."""
        twin = copy.deepcopy(self.model).train()
        with torch.no_grad():
            loss = cross_entropy(twin(x), y, label_smoothing=self.settings.label_smoothing)
        return loss.item()

    def _look_for_divergence(self, sums: Tensor) -> None:
        bad = (~torch.isfinite(sums)).nonzero()
        if len(bad):
            step = self.step - len(sums) + int(bad[0]) + 1
            reason = "the training loss is not finite"
            self.divergence = Divergence(step, self.epoch, reason, whole=False)
        elif self.epoch == self.settings.epochs and self.start_loss is not None:
            x, y = next(iter(self.train.epoch(0)))
            end = self.probe(x, y)
            if not end <= self.start_loss:  # also true for a NaN
                reason = (
                    f"the training loss ends at {end:.4g}, above the {self.start_loss:.4g} it"
                    " began with"
                )
                whole = math.isfinite(end)
                self.divergence = Divergence(self.step, self.epoch, reason, whole)


def steps_per_epoch(train: Source, settings: Settings) -> int:
    """Batches in an epoch."""
    limit = settings.limit_batches
    return len(train) if limit is None else min(len(train), limit)


@torch.no_grad()
def evaluate(model: nn.Module, batches: Source) -> dict[str, float | None]:
    """Mean cross-entropy (nats) and accuracy (a fraction); both None where there are no batches.

    >>> evaluate(model, test)  # doctest: +SKIP
    {'loss': 0.03, 'acc': 0.99}
    """
    model.eval()
    losses, hits, images = [], [], 0
    for x, y in batches.epoch():
        logits = model(x)
        losses.append(cross_entropy(logits, y, reduction="sum"))
        hits.append((logits.argmax(1) == y).sum())
        images += len(y)
    if not images:
        return {"loss": None, "acc": None}
    loss = torch.stack(losses).double().sum().item() / images
    return {"loss": loss, "acc": torch.stack(hits).sum().item() / images}
