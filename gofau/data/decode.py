"""Decode image files into one uint8 array, with a few threads."""

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from gofau.data.memory import available, gigabytes
from gofau.data.source import Source
from gofau.errors import UserError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
_GRAY = ("1", "L", "LA")
# Images per task of a thread: handing over one image at a time would cost more than decoding it.
_TASK = 128


def is_image(name: str) -> bool:
    """Whether the file name has the extension of an image."""
    return name.lower().endswith(EXTENSIONS)


def decode(
    source: Source, names: Sequence[str], image_size: int | None = None, *, remedy: str = ""
) -> tuple[np.ndarray, bool]:
    """Decode image files that all have the same size. Transparency is dropped.

    Args:
        source: the folder or zip that holds the files.
        names: the files, at least one.
        image_size: None keeps the size of the images; N resizes each to N×N pixels (bilinear,
            antialiased), ignoring its aspect ratio.
        remedy: end of the error message about different sizes: what the user can do.

    Returns:
        The pixels, uint8 of shape (N, H, W, 3), and whether all images were gray.

    Raises:
        UserError: an image that cannot be read, has more than 8 bits per channel, or has
            another size than the first.
    """
    if image_size is not None:
        _check_memory(len(names), image_size)
    first, _ = _pixels(source, names[0], image_size)
    out = np.empty((len(names), *first.shape[:2], 3), dtype=np.uint8)

    def work(start: int) -> bool:
        all_gray = True
        for index in range(start, min(start + _TASK, len(names))):
            pixels, gray = _pixels(source, names[index], image_size)
            if pixels.shape[:2] != first.shape[:2]:
                raise UserError(
                    f"{names[index]} in {source.path} is {_size(pixels)} pixels and {names[0]} is "
                    f"{_size(first)}: all images must have the same size{remedy}."
                )
            out[index] = pixels
            all_gray &= gray
        return all_gray

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        gray = list(pool.map(work, range(0, len(names), _TASK)))
    return out, all(gray)


def _check_memory(images: int, side: int) -> None:
    needed, there = 3 * images * side**2, available()
    if needed > there:
        raise UserError(
            f"dataset.image_size={side} makes {images:,} images of {gigabytes(needed)} together,"
            f" but there is {gigabytes(there)} of memory."
        )


def _pixels(source: Source, name: str, image_size: int | None) -> tuple[np.ndarray, bool]:
    """One image as uint8, shape (H, W, 1 or 3), and whether it is gray."""
    raw = source.read(name)
    try:
        with Image.open(io.BytesIO(raw)) as image:
            mode = image.mode
            if mode.startswith(("I", "F")):
                raise UserError(
                    f"{name} in {source.path} has more than 8 bits per channel (mode {mode}), "
                    "which would be clipped: convert it to 8 bits."
                )
            gray = mode in _GRAY
            # Via RGBA: PIL warns when it converts a palette with transparency directly to RGB.
            full = image.convert("RGBA") if mode == "P" else image
            plain = full.convert("L" if gray else "RGB")
            if image_size is not None and plain.size != (image_size, image_size):
                plain = plain.resize((image_size, image_size), Image.Resampling.BILINEAR)
            return np.asarray(plain).reshape(plain.height, plain.width, -1), gray
    except (UserError, MemoryError):
        raise
    # On damaged bytes PIL raises anything: OSError, SyntaxError, IndexError, struct.error.
    except Exception as error:
        reason = "not an image file" if isinstance(error, Image.UnidentifiedImageError) else error
        raise UserError(f"{name} in {source.path} cannot be decoded: {reason}.") from error


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]}×{pixels.shape[0]}"
