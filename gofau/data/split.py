"""Stratified parts of a split, drawn with a seed of their own, never with the run's seed."""

import numpy as np

from gofau.data.images import Images
from gofau.errors import UserError


def hold_out(images: Images, fraction: float, seed: int) -> tuple[Images, Images]:
    """Split into (train, validation), every class in the same proportion to within one image.

    Args:
        images: N images.
        fraction: share of the images that goes to validation, in [0, 1); the validation part has
            round(fraction · N) images, and none at fraction 0.
        seed: determines the split on its own: runs with different seeds have the same split.

    Raises:
        UserError: fraction outside [0, 1), or so small or large that a part would be empty.

    >>> images = Images(np.zeros((20, 8, 8, 1), np.uint8), np.arange(20) % 2)
    >>> train, validation = hold_out(images, 0.1, seed=0)
    >>> len(train), sorted(validation.labels.tolist())
    (18, [0, 1])
    """
    if not 0 <= fraction < 1:
        raise UserError(f"The held out fraction is {fraction}; it must be in [0, 1).")
    count = round(fraction * len(images))
    if count == len(images) or (count == 0 and fraction > 0):
        empty = "training" if count else "validation"
        raise UserError(
            f"Holding out a fraction of {fraction} of {len(images)} images leaves the {empty} part "
            "empty."
        )
    held = _choose(images.labels, count, seed)
    return images.take(np.flatnonzero(~held)), images.take(np.flatnonzero(held))


def subset(images: Images, n: int | None, seed: int) -> Images:
    """A stratified subset of n images, for training on fewer images.

    Args:
        images: N images.
        n: how many to keep, 1 to N; None keeps all.
        seed: determines the subset on its own.

    Raises:
        UserError: n is not an integer from 1 to N.

    >>> images = Images(np.zeros((20, 8, 8, 1), np.uint8), np.arange(20) % 2)
    >>> subset(images, 6, seed=0).labels.tolist().count(0)
    3
    """
    if n is None or n == len(images):
        return images
    if not isinstance(n, int) or not 1 <= n <= len(images):
        raise UserError(
            f"A subset of {n} images was asked for; there are {len(images)}, "
            f"so 1 to {len(images)} are possible (null for all)."
        )
    return images.take(np.flatnonzero(_choose(images.labels, n, seed)))


def _choose(labels: np.ndarray, total: int, seed: int) -> np.ndarray:
    """A mask, shape (N,), that is true for ``total`` images, stratified by label."""
    if seed < 0:
        raise UserError(f"The seed of the split is {seed}; it must be at least 0.")
    classes, counts = np.unique(labels, return_counts=True)
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), dtype=bool)
    for label, share in zip(classes, _apportion(counts, total), strict=True):
        chosen[rng.permutation(np.flatnonzero(labels == label))[:share]] = True
    return chosen


def _apportion(counts: np.ndarray, total: int) -> np.ndarray:
    """Largest remainder method: integers that sum to ``total``, each within one of its exact share.

    Computed in integers, because a share such as 0.1 · 30 is not exact in floating point.
    """
    whole = max(int(counts.sum()), 1)
    shares, remainders = np.divmod(counts * total, whole)
    first = np.argsort(-remainders, kind="stable")[: total - int(shares.sum())]
    shares[first] += 1
    return shares
