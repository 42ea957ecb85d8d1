"""A graph whose nodes have features and labels, with its split into parts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from gofau.errors import UserError

NO_LABEL = -1
PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Sparse:
    """A sparse matrix, given by its entries, so that a data set consists of plain arrays.

    Args:
        places: int64, shape (2, entries), row and column of each entry.
        values: float32, shape (entries,); the values of a place that occurs twice are added.
        shape: numbers of rows and columns.

    >>> Sparse(torch.tensor([[0], [1]]), torch.tensor([5.0]), (1, 2)).tensor().to_dense()
    tensor([[0., 5.]])
    """

    places: Tensor
    values: Tensor
    shape: tuple[int, int]

    def tensor(self) -> Tensor:
        """The matrix as a coalesced COO tensor. Its places are checked, since one outside the shape
        would access wrong memory later.

        COO and not CSR: torch's product with CSR takes two thirds of the time (Cora's features, one
        thread: 2.4 against 3.7 ms, forward and backward), but warns that it is in beta.
        """
        made = torch.sparse_coo_tensor(self.places, self.values, self.shape, check_invariants=True)
        return made.coalesce()


@dataclass(frozen=True, eq=False)
class GraphData:
    """A validated data set for node classification: one graph of N nodes.

    The task is transductive: training sees all edges and the features of all nodes, but only the
    labels of ``train``.

    Args:
        name: for display.
        classes: the name of each label, at least two.
        features: shape (N, F).
        adjacency: shape (N, N), as a graph convolution multiplies by it (see
            `normalised_adjacency`).
        labels: int64, shape (N,), indices into ``classes``; −1 for a node without a label.
        train, validation, test: int64, shape (K,), the nodes of each part; no node is in two parts.
        source: the file or folder it was read from, or several; not part of the content.

    Raises:
        UserError: shapes, labels or parts that do not fit each other.

    >>> graph = GraphData(
    ...     "pair",
    ...     ("cat", "dog"),
    ...     Sparse(torch.arange(3).expand(2, -1), torch.ones(3), (3, 3)),
    ...     normalised_adjacency(torch.tensor([[0], [1]]), 3),
    ...     torch.tensor([0, 1, 1]),
    ...     *torch.arange(3).split(1),
    ... )
    >>> graph.shape
    (3, 3)
    """

    name: str
    classes: tuple[str, ...]
    features: Sparse
    adjacency: Sparse
    labels: Tensor
    train: Tensor
    validation: Tensor
    test: Tensor
    source: Path | Sequence[Path] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        nodes = self.features.shape[0]
        if self.adjacency.shape != (nodes, nodes) or self.labels.shape != (nodes,):
            raise UserError(
                f"{self.name}: features of {nodes} nodes need an adjacency of {nodes}×{nodes} and"
                f" {nodes} labels, not {self.adjacency.shape} and {len(self.labels)}."
            )
        count = len(self.classes)
        low, high = int(self.labels.min()), int(self.labels.max())
        if count < 2 or low < NO_LABEL or high >= count:
            raise UserError(
                f"{self.name}: labels run from {low} to {high}, but they must be {NO_LABEL} (none)"
                f" to {count - 1}, and there must be at least 2 classes (there are {count})."
            )
        self._check_parts(nodes)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, F): nodes, and features per node."""
        return self.features.shape

    def _check_parts(self, nodes: int) -> None:
        parts = {name: getattr(self, name) for name in PARTS}
        for name, part in parts.items():
            inside = len(part) and int(part.min()) >= 0 and int(part.max()) < nodes
            if not inside or bool((self.labels[part] == NO_LABEL).any()):
                raise UserError(
                    f"{self.name}: the {name} part must hold nodes 0 to {nodes - 1} that have a"
                    " label, at least one of them."
                )
        together = torch.cat(list(parts.values()))
        if len(together.unique()) < len(together):
            raise UserError(f"{self.name}: a node is in two of the parts {', '.join(PARTS)}.")


def normalised_adjacency(edges: Tensor, nodes: int) -> Sparse:
    """Â = D^(−1/2) · (A + I) · D^(−1/2), D the diagonal of the row sums of A + I.

    Args:
        edges: int64, shape (2, E), pairs of nodes. An edge counts in both directions, and only once
            if it is listed again; edges from a node to itself are left out, since I adds one to
            every node.
        nodes: N; a node without edges keeps its own features (Â_ii = 1).

    Source: Kipf, Welling, arXiv 1609.02907, equation 2.

    >>> normalised_adjacency(torch.tensor([[0], [1]]), 3).tensor().to_dense()
    tensor([[0.5000, 0.5000, 0.0000],
            [0.5000, 0.5000, 0.0000],
            [0.0000, 0.0000, 1.0000]])
    """
    no_loops = edges[:, edges[0] != edges[1]]
    loops = torch.arange(nodes).expand(2, -1)
    both = torch.cat([no_loops, no_loops.flip(0), loops], dim=1).unique(dim=1)
    scale = torch.bincount(both[0], minlength=nodes).double().rsqrt()
    values = (scale[both[0]] * scale[both[1]]).float()
    return Sparse(both, values, (nodes, nodes))


def row_normalised(features: Sparse) -> Sparse:
    """Each row divided by its sum; a row of zeros stays as it is.

    >>> features = Sparse(torch.tensor([[0, 0], [0, 1]]), torch.tensor([1.0, 3.0]), (2, 2))
    >>> row_normalised(features).tensor().to_dense()
    tensor([[0.2500, 0.7500],
            [0.0000, 0.0000]])
    """
    rows, values = features.places[0], features.values
    sums = torch.zeros(features.shape[0], dtype=values.dtype).index_add(0, rows, values)
    # A row of zeros has no entries, so no entry is divided by its sum, 0.
    return replace(features, values=values / sums[rows])
