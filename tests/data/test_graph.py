"""The container of a graph, and the matrices that a graph convolution multiplies by."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gofau.data.digits_graph import digits_graph
from gofau.data.graph import GraphData, Sparse, normalised_adjacency, row_normalised
from gofau.errors import UserError


def diagonal(count: int) -> Sparse:
    return Sparse(torch.arange(count).expand(2, -1), torch.ones(count), (count, count))


def parts(**changes: Any) -> dict[str, Any]:
    eye = diagonal(4)
    nodes = torch.arange(4)
    whole = {"name": "tiny", "classes": ("a", "b"), "features": eye, "adjacency": eye}
    whole |= {"labels": torch.tensor([0, 1, 1, -1])}
    whole |= {"train": nodes[:1], "validation": nodes[1:2], "test": nodes[2:3]}
    return whole | changes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"adjacency": diagonal(3)}, "an adjacency of 4×4 and 4 labels, not (3, 3)"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, "not (4, 4) and 3"),
        ({"labels": torch.tensor([0, 1, 2, -1])}, "labels run from -1 to 2"),
        ({"labels": torch.tensor([0, 1, 1, -2])}, "labels run from -2 to 1"),
        ({"classes": ("a",), "labels": torch.zeros(4, dtype=torch.int64)}, "at least 2 classes"),
        ({"train": torch.tensor([4])}, "the train part must hold nodes 0 to 3"),
        ({"train": torch.tensor([-1])}, "the train part"),
        ({"test": torch.tensor([3])}, "the test part must hold nodes 0 to 3 that have a label"),
        ({"validation": torch.tensor([], dtype=torch.int64)}, "the validation part"),
        ({"test": torch.tensor([1])}, "in two of the parts train, validation, test"),
    ],
)
def test_what_does_not_fit_is_refused(changes, words):
    assert GraphData(**parts()).shape == (4, 4)
    with pytest.raises(UserError) as error:
        GraphData(**parts(**changes))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@given(
    edges=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30),
)
def test_the_adjacency_is_that_of_dense_matrices(edges):
    a = torch.eye(7, dtype=torch.float64)
    for one, other in edges:
        a[one, other] = a[other, one] = 1
    scale = torch.diag(a.sum(1) ** -0.5)
    found = normalised_adjacency(torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T, 7)
    torch.testing.assert_close(
        found.tensor().to_dense().double(), scale @ a @ scale, rtol=1e-6, atol=0
    )


def test_rows_sum_to_one_and_zeros_stay():
    dense = torch.tensor([[0.0, 2.0, 6.0], [0.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
    there = dense.nonzero().T
    features = Sparse(there, dense[tuple(there)], (3, 3))
    found = row_normalised(features).tensor().to_dense()
    assert torch.equal(found, torch.tensor([[0.0, 0.25, 0.75], [0.0] * 3, [1.0, 0.0, 0.0]]))


def test_a_place_outside_is_refused_here_and_not_by_the_memory():
    with pytest.raises(RuntimeError, match="size is inconsistent"):
        Sparse(torch.tensor([[0], [3]]), torch.ones(1), (2, 3)).tensor()


@pytest.fixture(scope="module")
def graph():
    return digits_graph()


def test_digits_graph_joins_the_nearest(graph):
    pixels = graph.features.tensor().to_dense().double()
    distances = torch.cdist(pixels, pixels).fill_diagonal_(torch.inf)
    order = distances.sort(dim=1)
    a = graph.adjacency.tensor().to_dense()
    rows = torch.arange(len(a))
    # Where the fifth is nearer than the sixth by more than rounding, these five are the neighbours.
    clear = order.values[:, 5] - order.values[:, 4] > 1e-9
    assert clear.float().mean() > 0.99
    for place in range(5):
        assert (a[rows, order.indices[:, place]] > 0)[clear].all()
    joined = (a > 0).sum() - len(a)
    assert joined <= 2 * 5 * len(a)
    assert torch.equal(a, a.T)


def test_digits_graph_splits_like_planetoid(graph):
    assert graph.labels[graph.train].bincount().tolist() == [20] * 10
    assert [len(graph.validation), len(graph.test)] == [500, 1000]
    assert graph.features.tensor().to_dense().max() == 1
    again, other = digits_graph(), digits_graph(split_seed=1)
    assert torch.equal(graph.train, again.train)
    assert not torch.equal(graph.train, other.train)
    assert torch.equal(graph.labels, other.labels)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"neighbours": 0}, "neighbours must be an integer from 1 to 1796, not 0"),
        ({"per_class": 30}, "per_class must be an integer from 1 to 29, not 30"),
        ({"split_seed": -1}, "seed of the split is -1"),
    ],
)
def test_digits_graph_refuses(keys, words):
    with pytest.raises(UserError, match=words):
        digits_graph(**keys)
