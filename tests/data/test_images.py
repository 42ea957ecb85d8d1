import numpy as np
import pytest

from gofau.data import ImageData, Images
from gofau.errors import UserError

PIXELS = np.zeros((4, 2, 3, 1), np.uint8)
LABELS = np.array([0, 1, 0, 1])
GOOD = Images(PIXELS, LABELS)


def test_shape_is_channels_first():
    assert ImageData("toy", ("a", "b"), GOOD, GOOD).shape == (1, 2, 3)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (Images(PIXELS.astype(np.float32), LABELS), "must be uint8"),
        (Images(PIXELS[..., 0], LABELS), "must be uint8 of shape"),
        (Images(np.zeros((4, 2, 3, 4), np.uint8), LABELS), r"\(N, H, W, 1 or 3\)"),
        (Images(PIXELS, LABELS[:3]), "one per image"),
        (Images(PIXELS, LABELS.astype(np.int32)), "int64"),
        (Images(PIXELS, LABELS + 1), "labels run from 1 to 2"),
        (Images(PIXELS, LABELS - 1), "labels run from -1 to 0"),
        (Images(PIXELS[:0], LABELS[:0]), "no images"),
        (Images(np.zeros((4, 5, 5, 1), np.uint8), LABELS), "must be equal"),
    ],
)
def test_each_split_is_checked(images, says):
    with pytest.raises(UserError, match=says):
        ImageData("toy", ("a", "b"), GOOD, images)


def test_one_class_is_no_classification():
    one = Images(PIXELS, LABELS * 0)
    with pytest.raises(UserError, match="1 class"):
        ImageData("toy", ("a",), one, one)
