"""Downloads: checked against a checksum, and in place only when whole."""

import hashlib
import os
import tempfile
from http.client import HTTPException
from pathlib import Path

from gofau.data.source import how_to_get
from gofau.errors import UserError


def fetch(url: str, checksum: str, data_dir: str | Path, below: str = "") -> Path:
    """Download a file into ``data_dir`` with torchvision's helper.

    It arrives in a folder of its own and is renamed when its checksum is right, so that a sweep's
    processes may all do this at once and an interrupted one leaves nothing half-written.

    Args:
        url: what; the file keeps its last part as name.
        checksum: MD5 or SHA-256 of the whole file, hexadecimal; its length says which.
        data_dir: where to; it is made when missing.
        below: the folder of ``data_dir`` that it belongs into.

    Raises:
        UserError: no network, a wrong checksum, or a folder that cannot be written.
    """
    # Imported here: it costs a second, and most runs find their data in the cache.
    from torchvision.datasets.utils import download_url

    data_dir = Path(data_dir).expanduser()
    folder = data_dir / below
    name = url.rsplit("/", 1)[-1]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as arriving:
            download_url(url, arriving, name)
            _verify(Path(arriving) / name, checksum)
            os.replace(Path(arriving) / name, folder / name)
    except (OSError, RuntimeError, HTTPException) as error:
        reason = str(error).rstrip(".")
        how = how_to_get(url, data_dir, below)
        raise UserError(f"{name} could not be downloaded to {folder} ({reason}): {how}") from error
    return folder / name


def _verify(file: Path, checksum: str) -> None:
    name = "md5" if len(checksum) == 32 else "sha256"
    with file.open("rb") as stream:
        # Not for security, says the flag, so that MD5 works where it is otherwise forbidden.
        found = hashlib.file_digest(
            stream, lambda: hashlib.new(name, usedforsecurity=False)
        ).hexdigest()
    if found != checksum:
        raise OSError(f"File corrupted: its {name} is {found}, not {checksum}")
