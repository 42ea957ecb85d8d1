"""The digits of scikit-learn as a graph of nearest neighbours: a graph that needs no download."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gofau.data.digits import digits
from gofau.data.graph import GraphData, Sparse, normalised_adjacency
from gofau.errors import UserError

VALIDATION, TEST = 500, 1000  # nodes, as in Planetoid's public splits


def digits_graph(
    neighbours: int = 5,
    per_class: int = 20,
    split_seed: int = 0,
    data_dir: str | Path | None = None,
    cache_dir: str | Path | None = None,
) -> GraphData:
    """1,797 handwritten digits as nodes, with edges between each image and its nearest neighbours.

    Neighbours are found by the Euclidean distance between pixels, which are integers, so that
    rounding has no influence; of images at the same distance the first is taken. Features are the
    64 pixels, from 0 to 1. The split is like the public ones of Planetoid: a few nodes of each
    class for training, 500 of the rest for validation, 1,000 for testing.

    Args:
        neighbours: number of nearest neighbours of each image, 1 to 1,796.
        per_class: training nodes of each of the 10 classes, 1 to 29.
        split_seed: seed of the split, independent of the run's seed.
        data_dir, cache_dir: accepted because every data set is called with them; not used.

    Raises:
        UserError: a number outside these ranges.

    >>> graph = digits_graph()
    >>> graph.shape, len(graph.train), len(graph.test)
    ((1797, 64), 200, 1000)
    """
    data = digits()
    pixels = np.concatenate([data.train.pixels, data.test.pixels]).reshape(-1, 64)
    labels = np.concatenate([data.train.labels, data.test.labels])
    count, spare = len(labels), (len(labels) - VALIDATION - TEST) // len(data.classes)
    for key, value, most in (
        ("neighbours", neighbours, count - 1),
        ("per_class", per_class, spare),
    ):
        if not isinstance(value, int) or not 1 <= value <= most:
            raise UserError(f"{key} must be an integer from 1 to {most}, not {value!r}.")
    rows, columns = pixels.nonzero()
    places = torch.from_numpy(np.stack([rows, columns]))
    ink = torch.from_numpy(pixels[rows, columns]).float() / 255
    return GraphData(
        "digits_graph",
        data.classes,
        Sparse(places, ink, (count, pixels.shape[1])),
        normalised_adjacency(_nearest(pixels, neighbours), count),
        torch.from_numpy(labels),
        *_split(labels, per_class, split_seed),
        source=data.source,
    )


def _nearest(points: np.ndarray, neighbours: int) -> Tensor:
    """Edges, int64 of shape (2, N·neighbours), from each row of integers to those nearest to it."""
    # Exact, since all values are integers below 2^53; integer types would take ten times as long.
    points = points.astype(np.float64)
    squares = (points**2).sum(1)
    distances = squares[:, None] + squares - 2 * points @ points.T
    # No image is its own neighbour.
    np.fill_diagonal(distances, distances.max() + 1)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :neighbours]
    start = np.repeat(np.arange(len(points)), neighbours)
    return torch.from_numpy(np.stack([start, nearest.ravel()]))


def _split(labels: np.ndarray, per_class: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    if seed < 0:
        raise UserError(f"The seed of the split is {seed}; it must be at least 0.")
    order = np.random.default_rng(seed).permutation(len(labels))
    # Rank of each node within its class, in the random order.
    same = labels[order][:, None] == np.arange(labels.max() + 1)
    rank = (same.cumsum(0) * same).sum(1) - 1
    rest = order[rank >= per_class]
    parts = order[rank < per_class], rest[:VALIDATION], rest[VALIDATION : VALIDATION + TEST]
    train, validation, test = (torch.from_numpy(np.sort(part)) for part in parts)
    return train, validation, test
