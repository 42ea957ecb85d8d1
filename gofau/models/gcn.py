"""Graph convolutional network with two layers."""

import torch
from torch import Tensor, nn

from gofau.errors import UserError
from gofau.models.checks import check_count


class GCN(nn.Module):
    """logits = Â · dropout(ReLU(Â · dropout(X) · W₁)) · W₂, without biases, as published.

    X are the nodes' features and Â the normalised adjacency, both sparse. X · W₁ is computed first
    and the product with Â last, so that both multiply a sparse matrix by one with few columns.
    Dropout on the sparse X draws for its entries only: zeros stay zero anyway. The weights are
    those of ``nn.Linear`` layers, so that every initialisation scheme applies to them; the
    constructor draws them by Glorot's scheme, as published.

    Args:
        features: Features per node, F.
        classes: Number of logits per node.
        width: Width of the hidden layer.
        dropout: Share of the inputs, and of the hidden values, that is zeroed in training, in
            [0, 1); the others are divided by 1 − dropout.

    Shapes:
        X (N, F), sparse COO and coalesced, and Â (N, N), sparse, to (N, classes).

    Raises:
        UserError: ``features``, ``classes`` or ``width`` is not an integer of at least 1, or
            ``dropout`` is not a number in [0, 1).

    Source: Kipf, Welling, *Semi-supervised classification with graph convolutional networks*,
    arXiv 1609.02907; hidden width 16 and dropout 0.5 are theirs.

    >>> eye = torch.eye(5).to_sparse()
    >>> GCN(5, classes=3)(eye, eye).shape
    torch.Size([5, 3])
    """

    def __init__(self, features: int, classes: int, width: int = 16, dropout: float = 0.5) -> None:
        super().__init__()
        sizes = {"features": features, "classes": classes, "width": width}
        for key, value in sizes.items():
            check_count("gcn", key, value)
        number = isinstance(dropout, int | float) and not isinstance(dropout, bool)
        if not number or not 0 <= dropout < 1:
            raise UserError(f"gcn: dropout must be a number in [0, 1), not {dropout!r}.")
        self.dropout = dropout
        self.first = nn.Linear(features, width, bias=False)
        self.second = nn.Linear(width, classes, bias=False)
        for layer in (self.first, self.second):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, features: Tensor, adjacency: Tensor) -> Tensor:
        hidden = _times(adjacency, _times(self._dropped(features), self.first.weight.T)).relu()
        hidden = nn.functional.dropout(hidden, self.dropout, self.training)
        return _times(adjacency, hidden @ self.second.weight.T)

    def _dropped(self, features: Tensor) -> Tensor:
        if not self.training or not self.dropout:
            return features
        values = nn.functional.dropout(features.values(), self.dropout)
        # Not checked again: the places are those of a tensor that has been checked.
        return torch.sparse_coo_tensor(
            features.indices(),
            values,
            features.shape,
            is_coalesced=True,
            check_invariants=False,
        )


def _times(matrix: Tensor, dense: Tensor) -> Tensor:
    """matrix · dense, in the matrix's precision: torch has no sparse product in half precision."""
    with torch.autocast(dense.device.type, enabled=False):
        return torch.sparse.mm(matrix, dense.to(matrix.dtype))
