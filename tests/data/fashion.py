"""Fashion-MNIST in miniature: files in its format, with pictures that can be told apart."""

import struct
from pathlib import Path

import numpy as np

SIZES = {"train": 60, "t10k": 20}


def idx(values: np.ndarray) -> bytes:
    """An IDX file of unsigned bytes."""
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.tobytes()


def split(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 28, 28) whose row 2·label is bright, on noise; and labels."""
    draw = np.random.default_rng(SIZES[part])
    labels = (np.arange(SIZES[part]) % 10).astype(np.uint8)
    images = draw.integers(0, 60, (len(labels), 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 4] += 190
    return images, labels


def files() -> dict[str, bytes]:
    """The four files by name, not gzipped."""
    found = {}
    for part in SIZES:
        images, labels = split(part)
        found |= {
            f"{part}-images-idx3-ubyte": idx(images),
            f"{part}-labels-idx1-ubyte": idx(labels),
        }
    return found


def write(data_dir: Path) -> Path:
    """The files below ``data_dir``, as torchvision lays them; returns ``data_dir``."""
    folder = data_dir / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for name, raw in files().items():
        (folder / name).write_bytes(raw)
    return data_dir
