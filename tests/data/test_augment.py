import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gofau.data import Augment
from gofau.data.augment import cut_out, draw, gather_moved
from gofau.errors import UserError


def generator(seed):
    return torch.Generator().manual_seed(seed)


def slow_move(image, crop, top, left, mirrored):
    """One sample, the obvious way: pad, cut the window out, mirror."""
    height, width, _ = image.shape
    padded = np.pad(image, ((crop, crop), (crop, crop), (0, 0)))
    window = padded[top : top + height, left : left + width]
    return window[:, ::-1] if mirrored else window


@given(
    st.integers(0, 6),
    st.booleans(),
    st.integers(1, 7),
    st.integers(1, 7),
    st.sampled_from([1, 3]),
    st.integers(0, 99),
)
def test_moves_equal_a_slow_reference(make, crop, flip, height, width, channels, seed):
    pixels = make.images(np.zeros(9), max(height, 2), max(width, 2), channels).pixels
    take = torch.randperm(9, generator=generator(seed))[:6]
    draws = draw(Augment(crop, flip), 6, pixels.shape[1], pixels.shape[2], generator(seed))
    moved = gather_moved(torch.from_numpy(pixels), take, draws, crop)
    for index, sample in enumerate(take.tolist()):
        expected = slow_move(
            pixels[sample],
            crop,
            int(draws.top[index]),
            int(draws.left[index]),
            bool(draws.mirrored[index]),
        )
        assert (moved[index].numpy() == expected).all()


@given(st.integers(1, 6), st.integers(0, 99))
def test_cutout_equals_a_slow_reference(side, seed):
    height, width, count = 5, 7, 8
    draws = draw(Augment(cutout=side), count, height, width, generator(seed))
    x = cut_out(torch.ones(count, 2, height, width), draws, side)
    for index in range(count):
        y0 = int(draws.centre_y[index]) - side // 2
        x0 = int(draws.centre_x[index]) - side // 2
        expected = np.ones((2, height, width))
        expected[:, max(y0, 0) : max(y0 + side, 0), max(x0, 0) : max(x0 + side, 0)] = 0
        assert (x[index].numpy() == expected).all()
        # The centre is inside, so at least a quarter of the square is.
        hidden = int((x[index, 0] == 0).sum())
        assert (side // 2 or 1) ** 2 <= hidden <= side**2 or hidden == height * width


def test_all_offsets_flips_and_centres_occur():
    draws = draw(Augment(crop=2, flip=True, cutout=3), 2000, 4, 6, generator(0))
    assert sorted(draws.top.unique().tolist()) == sorted(draws.left.unique().tolist())
    assert draws.top.unique().tolist() == [0, 1, 2, 3, 4]
    assert 0.45 < draws.mirrored.float().mean() < 0.55
    assert draws.centre_y.unique().tolist() == list(range(4))
    assert draws.centre_x.unique().tolist() == list(range(6))


def test_turning_one_off_leaves_the_others():
    both = draw(Augment(crop=2, flip=True, cutout=3), 50, 8, 8, generator(1))
    no_crop = draw(Augment(flip=True, cutout=3), 50, 8, 8, generator(1))
    assert torch.equal(both.mirrored, no_crop.mirrored)
    assert torch.equal(both.centre_x, no_crop.centre_x)


@pytest.mark.parametrize("setting", [{"crop": -1}, {"cutout": -2}, {"crop": 1.5}])
def test_bad_sizes_are_told(setting):
    with pytest.raises(UserError, match=f"augment.{next(iter(setting))} is"):
        Augment(**setting)
