"""Tiny data sets in every format that is read, made on the spot."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gofau.data import Images


class Make:
    """Fabricates files; ``files`` maps a name to its bytes."""

    @staticmethod
    def image(value: int, size: tuple[int, int] = (4, 4), mode: str = "RGB", kind: str = "PNG"):
        """One image file of a single value in all channels; size is (width, height)."""
        channels = len(Image.new(mode, (1, 1)).getbands())
        color = value if channels == 1 else (value,) * channels
        stream = io.BytesIO()
        Image.new(mode, size, color).save(stream, kind)
        return stream.getvalue()

    @staticmethod
    def folder(path: Path, files: Mapping[str, bytes]) -> Path:
        path.mkdir(parents=True, exist_ok=True)
        for name, raw in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                (path / name).mkdir(exist_ok=True)
            else:
                (path / name).write_bytes(raw)
        return path

    @staticmethod
    def zip(path: Path, files: Mapping[str, bytes]) -> Path:
        with zipfile.ZipFile(path, "w") as archive:
            for name, raw in files.items():
                archive.writestr(name, raw)
        return path

    @staticmethod
    def images(labels, height: int = 4, width: int = 5, channels: int = 3) -> Images:
        """Random pixels, but the first two values of an image spell its index."""
        labels = np.asarray(labels, dtype=np.int64)
        shape = (len(labels), height, width, channels)
        pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        flat = pixels.reshape(len(labels), height * width * channels)
        flat[:, 0], flat[:, 1] = np.divmod(np.arange(len(labels)), 256)
        return Images(pixels, labels)

    @staticmethod
    def indices(pixels: np.ndarray) -> np.ndarray:
        """Which images of ``images`` these are."""
        flat = pixels.reshape(len(pixels), np.prod(pixels.shape[1:], dtype=int)).astype(int)
        return flat[:, 0] * 256 + flat[:, 1]


@pytest.fixture(scope="session")
def make() -> type[Make]:
    return Make
