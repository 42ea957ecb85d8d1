"""Classification of the nodes of a graph, of which some have labels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor
from torch.nn.functional import cross_entropy

from gofau.data.graph import PARTS, GraphData
from gofau.errors import UserError
from gofau.problems.problem import Batch, Loading, Metric, Problem, Task


@final
@dataclass(frozen=True)
class NodeClassification(Problem):
    """Predict the class of a node of a graph. The whole graph is one batch, (features, adjacency,
    labels, nodes): features, sparse (N, F), and normalised adjacency, sparse (N, N), of all nodes;
    the numbers of the K nodes of the part (such as the training part) and their labels, int64 (K,).
    A model is called with features and adjacency and returns logits of shape (N, classes).

    An epoch is one step, and ``trainer.batch_size`` has no effect.

    Loss: cross-entropy in nats over these K nodes. Metric: ``acc``, the share of them whose largest
    logit is that of their class; guessing gives 1/classes.

    >>> import torch
    >>> logits = torch.tensor([[2.0, 0.0], [0.0, 0.0], [2.0, 0.0]])
    >>> batch = (logits, logits, torch.tensor([0, 1]), torch.tensor([0, 2]))
    >>> loss, (right,) = NodeClassification().loss(logits, batch, training=True)
    >>> round(loss.item(), 4), right.item()
    (1.1269, 1)
    """

    unit = "nodes"
    metrics = ("acc",)

    def task(self, data: Any, keys: Mapping[str, Any], loading: Loading) -> Task:
        if not isinstance(data, GraphData):
            kind = type(data).__name__
            raise UserError(
                f"problem=node_classification needs a data set of a graph, not a {kind}"
            )
        classes = len(data.classes)
        return Task(
            *(_Whole(data, getattr(data, part), loading) for part in PARTS),
            metric=Metric("acc", "accuracy", True, chance=1 / classes, format=".2%"),
            model={"features": data.shape[1], "classes": classes},
            example=(data.features.tensor(), data.adjacency.tensor()),
            facts={
                "classes": classes,
                "nodes": {part: len(getattr(data, part)) for part in PARTS},
            },
        )

    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        return batch[:2]

    def count(self, batch: Batch) -> int:
        return len(batch[3])

    def loss(
        self, output: Tensor, batch: Batch, training: bool
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        labels, nodes = batch[2:]
        logits = output[nodes]
        return cross_entropy(logits, labels), ((logits.argmax(1) == labels).sum(),)


class _Whole:
    """The whole graph as the only batch of an epoch. With several processes, each computes the
    whole graph, and the loss of its share of the nodes."""

    def __init__(self, data: GraphData, nodes: Tensor, loading: Loading) -> None:
        rank, processes = loading.share
        if len(nodes) < processes:
            raise UserError(f"There are {len(nodes)} nodes, fewer than the {processes} processes.")
        self._count = len(nodes)
        mine = nodes[rank::processes]
        whole = (data.features.tensor(), data.adjacency.tensor(), data.labels[mine], mine)
        self._batch = tuple(tensor.to(loading.device) for tensor in whole)

    def __len__(self) -> int:
        return 1

    def count(self, batch: int) -> int:
        return self._count

    def epoch(self, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
        if start == 0:  # a run resumed after the only batch has nothing left in this epoch
            yield self._batch
