import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gofau.data import hold_out, subset
from gofau.errors import UserError

labels_ = st.lists(st.integers(0, 4), min_size=2, max_size=80)
seeds = st.integers(0, 2**32)


@given(labels_, st.floats(0, 0.95), seeds)
def test_hold_out_is_disjoint_exhaustive_and_stratified(make, labels, fraction, seed):
    images = make.images(labels)
    try:
        train, held = hold_out(images, fraction, seed)
    except UserError:
        assert round(fraction * len(labels)) in (0, len(labels))
        return
    both = np.concatenate([make.indices(train.pixels), make.indices(held.pixels)])
    assert sorted(both) == list(range(len(labels)))
    assert len(held) == round(fraction * len(labels))
    for label in set(labels):
        share = len(held) / len(labels) * labels.count(label)
        assert abs(int((held.labels == label).sum()) - share) < 1
    for part in (train, held):
        assert (part.labels == images.labels[make.indices(part.pixels)]).all()


def test_seed_alone_decides(make):
    images = make.images(np.arange(60) % 3)
    np.random.seed(1)  # noqa: NPY002  (the global state must not matter)
    first = hold_out(images, 0.2, 7)[1].pixels
    np.random.seed(2)  # noqa: NPY002
    assert (hold_out(images, 0.2, 7)[1].pixels == first).all()
    assert not (hold_out(images, 0.2, 8)[1].pixels == first).all()


def test_fraction_zero_gives_an_empty_validation_part(make):
    train, held = hold_out(make.images([0, 1, 0]), 0, 0)
    assert (len(train), len(held)) == (3, 0)
    assert held.pixels.shape == (0, 4, 5, 3)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_fraction_out_of_range(make, fraction):
    with pytest.raises(UserError, match=r"must be in \[0, 1\)"):
        hold_out(make.images([0, 1]), fraction, 0)


@pytest.mark.parametrize(("fraction", "part"), [(0.01, "validation"), (0.99, "training")])
def test_empty_part_is_told(make, fraction, part):
    with pytest.raises(UserError, match=f"leaves the {part} part empty"):
        hold_out(make.images([0, 1, 0, 1]), fraction, 0)


@given(labels_, seeds, st.data())
def test_subset_has_the_size_and_proportions(make, labels, seed, data):
    n = data.draw(st.integers(1, len(labels)))
    part = subset(make.images(labels), n, seed)
    assert len(part) == n == len(set(make.indices(part.pixels)))
    for label in set(labels):
        share = n / len(labels) * labels.count(label)
        assert abs(int((part.labels == label).sum()) - share) < 1


def test_subset_of_everything_copies_nothing(make):
    images = make.images([0, 1, 0])
    assert subset(images, None, 0) is images
    assert subset(images, 3, 0) is images


@pytest.mark.parametrize("n", [0, -1, 4, 1.5])
def test_subset_size_out_of_range(make, n):
    with pytest.raises(UserError, match="1 to 3 are possible"):
        subset(make.images([0, 1, 0]), n, 0)


def test_negative_seed(make):
    with pytest.raises(UserError, match="seed"):
        hold_out(make.images([0, 1, 0, 1]), 0.5, -1)
