import numpy as np
import pytest

from gofau.data.digits import digits
from gofau.errors import UserError


def test_digits():
    data = digits()
    assert data.shape == (1, 8, 8)
    assert data.classes == tuple("0123456789")
    assert (len(data.train), len(data.test)) == (1438, 359)
    assert data.train.pixels.max() == 255
    assert data.train.pixels.min() == 0
    counts = np.bincount(data.test.labels)
    assert counts.min() >= 34
    assert counts.max() <= 37


def test_the_test_split_is_fixed_and_has_its_own_seed():
    assert (digits().test.pixels == digits().test.pixels).all()
    assert not (digits(split_seed=1).test.pixels == digits().test.pixels).all()


def test_no_test_images():
    with pytest.raises(UserError, match="no images"):
        digits(test_fraction=0)
