import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gofau.data import Augment, Batches, Images, channel_stats
from gofau.errors import UserError

MEAN, STD = (0.5, 0.25, 0.1), (0.2, 0.3, 0.4)
EVERYTHING = Augment(crop=2, flip=True, cutout=2)


def run(batches, epoch=0):
    parts = list(batches.epoch(epoch))
    return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])


def batches_of(images, **settings):
    return Batches(images, **{"batch_size": 4, "mean": MEAN, "std": STD, **settings})


@given(st.integers(1, 30), st.integers(1, 12), st.booleans(), st.integers(0, 5))
def test_every_sample_once_an_epoch(make, count, batch_size, shuffle, epoch):
    images = make.images(np.arange(count))
    batches = batches_of(images, batch_size=batch_size, shuffle=shuffle)
    sizes = [len(y) for _, y in batches.epoch(epoch)]
    assert len(sizes) == len(batches)
    assert sizes[:-1] == [batch_size] * (len(batches) - 1)
    labels = run(batches, epoch)[1].tolist()
    assert sorted(labels) == list(range(count))
    if not shuffle:
        assert labels == sorted(labels)


def test_normalisation_and_types(make):
    images = make.images(np.arange(9))
    x, y = run(batches_of(images))
    expected = (images.pixels / 255 - np.array(MEAN)) / np.array(STD)
    torch.testing.assert_close(
        x, torch.from_numpy(expected.transpose(0, 3, 1, 2)).float(), rtol=1e-5, atol=1e-5
    )
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    assert x.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("augment", [None, EVERYTHING])
def test_an_epoch_repeats_and_the_next_differs(make, augment):
    images = make.images(np.arange(20))
    first = batches_of(images, shuffle=True, augment=augment, seed=3)
    x, y = run(first, 5)
    torch.manual_seed(0)
    again = run(batches_of(images, shuffle=True, augment=augment, seed=3), 5)
    assert torch.equal(x, again[0])
    assert torch.equal(y, again[1])
    for other in (run(first, 6), run(batches_of(images, shuffle=True, augment=augment, seed=4), 5)):
        assert not torch.equal(x, other[0])
        assert not torch.equal(y, other[1])


def test_seed_and_epoch_are_not_added_up(make):
    images = make.images(np.arange(50))
    one = run(batches_of(images, shuffle=True, seed=0), 1)[1]
    assert not torch.equal(one, run(batches_of(images, shuffle=True, seed=1), 0)[1])


def test_batch_size_does_not_change_the_samples(make):
    images = make.images(np.arange(13))
    settings = {"shuffle": True, "augment": EVERYTHING}
    x, _ = run(batches_of(images, batch_size=3, **settings))
    assert torch.equal(x, run(batches_of(images, batch_size=13, **settings))[0])


def test_a_read_only_map_is_taken_and_images_are_not_changed(make, tmp_path):
    images = make.images(np.arange(6))
    np.save(tmp_path / "x.npy", images.pixels)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x, _ = run(batches_of(Images(mapped, images.labels), augment=EVERYTHING))
    before = images.pixels.copy()
    assert torch.equal(x, run(batches_of(images, augment=EVERYTHING))[0])
    assert (images.pixels == before).all()


def test_an_empty_split_has_no_batches(make):
    empty = batches_of(make.images([]))
    assert len(empty) == 0
    assert list(empty.epoch()) == []


def test_channel_stats_are_exact(make):
    images = make.images(np.zeros(700))
    mean, std = channel_stats(images)
    scaled = images.pixels.astype(np.float64) / 255
    np.testing.assert_allclose(mean, scaled.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, scaled.std((0, 1, 2)), rtol=1e-12)


def test_a_constant_channel_is_only_centred():
    images = Images(np.full((3, 2, 2, 1), 51, np.uint8), np.arange(3))
    mean, std = channel_stats(images)
    assert std == (0.0,)
    x, _ = run(Batches(images, batch_size=2, mean=mean, std=std))
    assert x.abs().max() < 1e-6


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 2.5}, r"batch_size is 2\.5"),
        ({"seed": -1}, "seed of the batches is -1"),
        ({"mean": (0.5,)}, "1 means and 3 standard deviations"),
        ({"std": (0.5, 0.5, float("nan"))}, "finite"),
    ],
)
def test_mistakes_are_told(make, settings, says):
    with pytest.raises(UserError, match=says):
        batches_of(make.images(np.arange(4)), **settings)


def test_stats_of_nothing(make):
    with pytest.raises(UserError, match="no images"):
        channel_stats(make.images([]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_sees_the_same_batches(make):
    images = make.images(np.arange(50))
    settings = {"shuffle": True, "augment": EVERYTHING}
    x, y = run(batches_of(images, **settings))
    on_gpu = run(batches_of(images, device="cuda", **settings))
    torch.testing.assert_close(on_gpu[0].cpu(), x)
    assert torch.equal(on_gpu[1].cpu(), y)


def test_streamed_pixels_give_the_same_batches(make):
    images = make.images(np.arange(23)).take(np.arange(3, 23))
    settings = {"batch_size": 6, "shuffle": True, "augment": EVERYTHING}
    resident = run(batches_of(images, **settings), 2)
    streamed = run(batches_of(images, resident=False, **settings), 2)
    assert torch.equal(resident[0], streamed[0])
    assert torch.equal(resident[1], streamed[1])


def test_an_epoch_can_begin_in_its_middle(make):
    batches = batches_of(make.images(np.arange(23)), batch_size=6, shuffle=True, augment=EVERYTHING)
    whole, rest = list(batches.epoch(1)), list(batches.epoch(1, start=2))
    assert len(rest) == 2
    for (x, y), (u, v) in zip(whole[2:], rest, strict=True):
        assert torch.equal(x, u)
        assert torch.equal(y, v)


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_a_batch(make, processes):
    images = make.images(np.arange(23))
    settings = {"batch_size": 6, "shuffle": True, "augment": EVERYTHING}
    whole = list(batches_of(images, **settings).epoch(1))
    shares = [
        list(batches_of(images, share=(rank, processes), **settings).epoch(1))
        for rank in range(processes)
    ]
    for i, (x, y) in enumerate(whole):
        for rank in range(processes):
            assert torch.equal(shares[rank][i][0], x[rank::processes])
            assert torch.equal(shares[rank][i][1], y[rank::processes])
        assert batches_of(images, **settings).count(i) == len(y)


def test_a_batch_smaller_than_the_processes_is_refused(make):
    with pytest.raises(UserError, match="fewer than the 2 processes"):
        batches_of(make.images(np.arange(7)), batch_size=6, share=(1, 2))


def test_a_part_shares_the_memory_of_the_whole(make):
    images = make.images(np.arange(9))
    part = images.take(np.array([5, 2, 7])).take(np.array([2, 0]))
    assert part.stored is images.stored
    assert (part.pixels == images.pixels[[7, 5]]).all()
    assert (part.labels == images.labels[[7, 5]]).all()
