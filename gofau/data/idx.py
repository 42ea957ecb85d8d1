"""The IDX format of the MNIST family: a header with the shape, then the bytes."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from gofau.errors import UserError

UNSIGNED_BYTE = 0x08


def read_idx(path: Path, raw: bytes, dimensions: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes as an array.

    The format: two zero bytes, the type of the values, the number of dimensions, each dimension's
    size as a big-endian 32-bit integer, and the values in row-major order.

    Args:
        path: path of the file, for messages; if it ends in ``.gz``, ``raw`` is gzipped.
        raw: the bytes of the file.
        dimensions: number that the array must have: 3 for images (N, H, W), 1 for labels (N,).

    Raises:
        UserError: it is not such a file, or is incomplete.

    Source: Y. LeCun, *The MNIST database of handwritten digits*.

    >>> read_idx(Path("labels"), b"\\x00\\x00\\x08\\x01\\x00\\x00\\x00\\x02\\x07\\x09", 1)
    array([7, 9], dtype=uint8)
    """
    data = _unpacked(path, raw) if path.suffix == ".gz" else raw
    start = 4 + 4 * dimensions
    if len(data) < start or data[:4] != bytes([0, 0, UNSIGNED_BYTE, dimensions]):
        raise UserError(
            f"{path} is not an IDX file of unsigned bytes in {dimensions} dimension(s): fetch it"
            " again."
        )
    shape = struct.unpack(f">{dimensions}I", data[4:start])
    if len(data) - start != math.prod(shape):
        raise UserError(
            f"{path} has {len(data) - start} values where its header says {math.prod(shape)}"
            f" ({'×'.join(map(str, shape))}): it is incomplete, fetch it again."
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _unpacked(path: Path, raw: bytes) -> bytes:
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is not a complete gzip file ({error}): fetch it again.") from error
