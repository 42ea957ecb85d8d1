"""The contract between a problem and the training loop."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

Batch = tuple[Tensor, ...]
"""One batch, on the device where the model is. What its tensors are, the problem alone knows."""


@dataclass(frozen=True)
class Metric:
    """The figure by which a run is judged.

    Args:
        name: its column is ``val/<name>`` and ``test/<name>``; "loss" for the loss itself.
        title: in words, for people.
        higher_is_better: whether it is to be maximised.
        chance: what guessing gives, which is what a diverged run counts as; None where there is no
            such value.
        format: how Python is to print a value.

    >>> Metric("acc", "accuracy", higher_is_better=True, chance=0.1, format=".2%").name
    'acc'
    """

    name: str
    title: str
    higher_is_better: bool
    chance: float | None = None
    format: str = ".4g"


class Loader(Protocol):
    """Batches of one part of the data; where several processes train together, each process's
    share of every batch."""

    def __len__(self) -> int:
        """Batches per epoch; 1 where all data is one batch, 0 for a part that is empty."""
        ...

    def count(self, batch: int) -> int:
        """Examples in the batch of that number, over all processes (see `Problem.count`)."""
        ...

    def epoch(self, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
        """The batches of that epoch from number ``start`` on: the same whenever they are asked for
        again, since a run that is resumed in the middle of an epoch asks for its rest."""
        ...


@dataclass(frozen=True)
class Loading:
    """How batches are to be made.

    Args:
        batch_size, eval_batch_size: examples per batch in training, and in evaluation.
        seed: with the epoch's number it decides order and augmentation.
        device: where batches are to be.
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
    """A problem with its data: all that depends on which data it is.

    Args:
        train, validation, test: the parts; the test part is read once, at the end of a run.
        metric: the headline.
        model: what a model for this data is built with, besides the keys of its own config.
        example: the model's inputs for one example, on the CPU, for counting operations; zeros do.
        facts: what the record should say of the data, as JSON has it.
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

    The training loop asks for batches, hands ``inputs(batch)`` to the model and the model's output
    back to `loss`; it averages losses and metrics over examples. It never looks into a batch. A
    problem's own settings (such as label smoothing) are its constructor's arguments; it is a frozen
    dataclass, so that a compiled loss is shared by all runs with the same settings.

    Two that are unlike images fit as well. A graph is one batch of features, edges, labels and
    node numbers: `inputs` are features and edges, an example is a node, and ``train`` has length 1.
    A text is batches of blocks of characters: an example is a block, so `count` is B.

    Attributes:
        unit: what an example is, plural, for people: "images".
        metrics: names of the metrics besides the loss, in the order in which `loss` sums them.
        dataset_keys: keys of the dataset's config that are for `task`, not for reading the data.
    """

    unit: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]] = ()
    dataset_keys: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def task(self, data: Any, keys: Mapping[str, Any], loading: Loading) -> Task:
        """Parts, batches and metric for a data set.

        Args:
            data: what the dataset's function returned; the same object for all runs that share it.
            keys: those of the dataset's config that `dataset_keys` names.
            loading: how batches are to be made.

        Raises:
            UserError: the data is not of the kind that this problem needs, or a key is wrong.
        """

    @abstractmethod
    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """What of a batch the model is called with."""

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
            output: the model's, float32 whatever the precision.
            batch: whose output it is.
            training: whether it is a training step; evaluation uses no regularisation.

        Returns:
            The loss, 0-dimensional: the mean over the examples. And for each of `metrics` the
            *sum* over the examples, 0-dimensional, so that means over batches of unequal size and
            over processes are exact.
        """
