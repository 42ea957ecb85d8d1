"""Download files: verified by checksum, and moved into place only when complete."""

import hashlib
import os
import tempfile
from http.client import HTTPException
from pathlib import Path

from gofau.data.source import how_to_get
from gofau.errors import UserError


def fetch(url: str, checksum: str, data_dir: str | Path, below: str = "") -> Path:
    """Download a file into ``data_dir`` with torchvision's helper.

    The file is downloaded to a temporary folder and renamed once its checksum has been verified, so
    that all processes of a sweep may do this at once and an interruption leaves no partial file.

    Args:
        url: address of the file; its last part becomes the file name.
        checksum: MD5 or SHA-256 of the whole file, hexadecimal; its length says which.
        data_dir: folder for the file; created if it is missing.
        below: subfolder of ``data_dir`` for the file.

    Raises:
        UserError: no network, a wrong checksum, or a folder that cannot be written.
    """
    # Imported here: the import takes a second, and most runs find their data in the cache.
    from torchvision.datasets.utils import download_url

    data_dir = Path(data_dir).expanduser()
    folder = data_dir / below
    name = url.rsplit("/", 1)[-1]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as temporary:
            download_url(url, temporary, name)
            _verify(Path(temporary) / name, checksum)
            os.replace(Path(temporary) / name, folder / name)
    except (OSError, RuntimeError, HTTPException) as error:
        reason = str(error).rstrip(".")
        how = how_to_get(url, data_dir, below)
        raise UserError(f"{name} could not be downloaded to {folder} ({reason}): {how}") from error
    return folder / name


def _verify(file: Path, checksum: str) -> None:
    name = "md5" if len(checksum) == 32 else "sha256"
    with file.open("rb") as stream:
        # The flag says "not for security", so that MD5 works where it is forbidden otherwise.
        found = hashlib.file_digest(
            stream, lambda: hashlib.new(name, usedforsecurity=False)
        ).hexdigest()
    if found != checksum:
        raise OSError(f"File corrupted: its {name} is {found}, not {checksum}")
