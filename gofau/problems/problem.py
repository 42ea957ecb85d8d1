"""The contract between a problem and the training loop."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

Batch = tuple[Tensor, ...]
"""One batch, on the model's device. Only the problem knows what its tensors are."""


@dataclass(frozen=True)
class Metric:
    """The metric by which a run is judged.

    Args:
        name: its column is ``val/<name>`` and ``test/<name>``; "loss" for the loss itself.
        title: its name in words, for display.
        higher_is_better: whether it is to be maximised.
        chance: the value of guessing, which is also the value of a diverged run; None if there is
            no such value.
        format: Python's format specification for a value.

    >>> Metric("acc", "accuracy", higher_is_better=True, chance=0.1, format=".2%").name
    'acc'
    """

    name: str
    title: str
    higher_is_better: bool
    chance: float | None = None
    format: str = ".4g"


class Loader(Protocol):
    """Batches of one part of the data; if several processes train together, each process's share of
    every batch."""

    def __len__(self) -> int:
        """Batches per epoch; 1 if all data is one batch, 0 if the part is empty."""
        ...

    def count(self, batch: int) -> int:
        """Examples in batch number ``batch``, over all processes (see `Problem.count`)."""
        ...

    def epoch(self, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch ``start`` on. They must be the same at every call,
        since a run that is resumed in the middle of an epoch asks for the rest of it."""
        ...


@dataclass(frozen=True)
class Loading:
    """How to make batches.

    Args:
        batch_size, eval_batch_size: examples per batch in training, and in evaluation.
        seed: with the epoch's number it determines order and augmentation.
        device: the device of the batches.
        share: (rank, processes): which share of every batch this process gets.
        resident_limit: bytes of data that may be kept on the device; None for no limit.
    """

    batch_size: int
    eval_batch_size: int
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    share: tuple[int, int] = (0, 1)
    resident_limit: float | None = None


@dataclass(frozen=True)
class Task:
    """A problem with its data: everything that depends on the data.

    Args:
        train, validation, test: the parts; the test part is read once, at the end of a run.
        metric: the one by which a run is judged.
        model: the arguments of a model for this data, besides the keys of the model's config.
        example: the model's inputs for one example, on the CPU, for counting operations; may be
            zeros.
        facts: what the record should say about the data, as JSON values.
    """

    train: Loader
    validation: Loader
    test: Loader
    metric: Metric
    model: Mapping[str, Any]
    example: tuple[Tensor, ...]
    facts: Mapping[str, Any]


class Problem(ABC):
    """Data, model, loss and metrics, and what one batch is.

    The training loop asks for batches, passes ``inputs(batch)`` to the model and the model's output
    to `loss`, and averages losses and metrics over examples. It never looks into a batch. A
    problem's own settings (such as label smoothing) are its constructor's arguments; it is a frozen
    dataclass, so that a compiled loss is shared by all runs with the same settings.

    Problems without images fit as well. A graph is one batch of features, edges, labels and
    node numbers: `inputs` are features and edges, an example is a node, and ``train`` has length 1.
    A text is batches of blocks of characters: an example is a block, so `count` is B.

    Attributes:
        unit: plural noun for the examples, for display: "images".
        metrics: names of the metrics besides the loss, in the order in which `loss` sums them.
        dataset_keys: keys of the dataset's config that `task` gets, not the function that reads it.
    """

    unit: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]] = ()
    dataset_keys: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def task(self, data: Any, keys: Mapping[str, Any], loading: Loading) -> Task:
        """Parts, batches and metric for a data set.

        Args:
            data: what the dataset's function returned; the same object for all runs that share it.
            keys: the values of `dataset_keys` in the dataset's config.
            loading: how to make batches.

        Raises:
            UserError: the data is not of the kind that this problem needs, or a key is wrong.
        """

    @abstractmethod
    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """The part of a batch that the model is called with."""

    @abstractmethod
    def count(self, batch: Batch) -> int:
        """Examples in this process's batch, over which losses and metrics are averaged.

        It must come from a shape: asking a tensor for a value would wait for the device.
        """

    @abstractmethod
    def loss(
        self, output: Tensor, batch: Batch, training: bool
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The loss and the metrics of a batch, without waiting for the device.

        Args:
            output: the model's output, float32 for every precision.
            batch: the batch it was computed from.
            training: whether it is a training step; evaluation uses no regularisation.

        Returns:
            The loss, 0-dimensional: the mean over the examples. And for each of `metrics` the
            *sum* over the examples, 0-dimensional, so that means over batches of unequal size and
            over processes are exact.
        """
