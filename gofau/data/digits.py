"""The handwritten digits that are part of scikit-learn: nothing to download."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from gofau.data.images import ImageData, Images
from gofau.data.split import hold_out
from gofau.errors import UserError


def digits(
    test_fraction: float = 0.2,
    split_seed: int = 0,
    data_dir: str | Path | None = None,
    cache_dir: str | Path | None = None,
) -> ImageData:
    """1,797 handwritten digits of 8×8 gray pixels, 10 classes; there is no official test split.

    Args:
        test_fraction: share of the images in the test split, in (0, 1).
        split_seed: seed of the test split (stratified), independent of the run's seed.
        data_dir, cache_dir: accepted because every data set is called with them; not used.

    Raises:
        UserError: a test fraction that leaves a part empty.

    >>> data = digits()
    >>> data.shape, len(data.train), len(data.test)
    ((1, 8, 8), 1438, 359)
    """
    values, labels, source = _load()
    # The file has values from 0 (no ink) to 16; images here have 0 to 255.
    pixels = np.rint(values.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    everything = Images(pixels, labels.astype(np.int64))
    train, test = hold_out(everything, test_fraction, split_seed)
    return ImageData("digits", tuple(str(digit) for digit in range(10)), train, test, source)


def _load() -> tuple[np.ndarray, np.ndarray, Path | None]:
    """64 values and a label per image, and the file. The file is read directly: importing
    scikit-learn takes seconds, longer than a short run trains. Only if the file is not at its usual
    place, scikit-learn's own loader is used."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise UserError("dataset=digits comes inside scikit-learn: pip install scikit-learn.")
    file = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if not file.exists():
        from sklearn.datasets import load_digits

        bundle: Any = load_digits()
        return bundle["data"], bundle["target"], None
    table = np.loadtxt(file, delimiter=",")
    return table[:, :-1], table[:, -1], file
