"""Tiny Shakespeare: a megabyte of plays, a standard text for small language models."""

import hashlib
from dataclasses import replace
from pathlib import Path

from gofau.data.fetch import fetch
from gofau.data.source import find
from gofau.data.text import TextData, split_text
from gofau.errors import UserError

URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
FOLDER = "tinyshakespeare"


def tiny_shakespeare(
    val_fraction: float = 0.05,
    test_fraction: float = 0.05,
    data_dir: str | Path = "data",
    cache_dir: str | Path | None = None,
    download: bool = True,
) -> TextData:
    """1,115,394 characters of Shakespeare's plays, 65 symbols.

    Usually the first 90 % are the training part and the rest is the validation part, without a test
    part. Here the first 90 % are the training part as well, and the rest is divided into halves:
    the first is the validation part, the second the test part.

    Args:
        val_fraction, test_fraction: shares of the characters, see `gofau.data.text.split_text`.
        data_dir: holds ``tinyshakespeare/input.txt``.
        cache_dir: accepted because every data set is called with it; not used, reading is quick.
        download: fetch the file (1 MB) when it is missing.

    Raises:
        UserError: the file is missing and cannot be downloaded, or is not the official one.

    Source: Karpathy, char-rnn, 2015.

    Example: ``tiny_shakespeare(data_dir="data")``
    """
    try:
        path = find(f"{FOLDER}/input.txt", data_dir, URL, FOLDER)
    except UserError:
        if not download:
            raise
        path = fetch(URL, SHA256, data_dir, FOLDER)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    digest = hashlib.sha256(raw).hexdigest()
    if digest != SHA256:
        raise UserError(
            f"{path} has the SHA-256 checksum {digest}, not the official {SHA256}: delete it and"
            f" fetch {URL} again."
        )
    data = split_text("tiny_shakespeare", raw.decode("ascii"), val_fraction, test_fraction)
    return replace(data, source=path)
