"""The IDX format, as written here."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from gofau.data.idx import read_idx
from gofau.errors import UserError
from tests.data.fashion import idx

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 4, 5), dtype=np.uint8)
RAW = idx(PIXELS)
PACKED = gzip.compress(RAW, mtime=0)  # without the time, so that a test has one name


@pytest.mark.parametrize(("name", "raw"), [("x", RAW), ("x.gz", PACKED)], ids=["plain", "gzipped"])
def test_it_gives_what_was_written(name, raw):
    found = read_idx(Path(name), raw, 3)
    assert found.dtype == np.uint8
    assert (found == PIXELS).all()


def test_torchvision_reads_the_same(tmp_path):
    from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

    (tmp_path / "x").write_bytes(RAW)
    assert (read_sn3_pascalvincent_tensor(str(tmp_path / "x")).numpy() == PIXELS).all()


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("x", RAW[:-1], r"has 59 values where its header says 60 \(3×4×5\)"),
        ("x", RAW + b"\0", "has 61 values"),
        ("x", RAW[:10], "is not an IDX file of unsigned bytes in 3 dimension"),
        ("x", idx(PIXELS[0, 0]), "is not an IDX file"),
        ("x", RAW[:2] + b"\x0d" + RAW[3:], "is not an IDX file of unsigned bytes"),
        ("x", b"", "is not an IDX file"),
        ("x.gz", RAW, "is not a complete gzip file"),
        ("x.gz", PACKED[:-9], "is not a complete gzip file"),
        ("x.gz", PACKED[:30] + b"????" + PACKED[34:], "not a complete gzip"),
    ],
    ids=range(9),
)
def test_what_is_broken_is_one_sentence(name, raw, says):
    with pytest.raises(UserError, match=says) as error:
        read_idx(Path(name), raw, 3)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{name} ")
