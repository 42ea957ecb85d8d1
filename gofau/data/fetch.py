"""Downloads: checked against a checksum, and in place only when whole."""

import os
import tempfile
from http.client import HTTPException
from pathlib import Path

from gofau.data.source import how_to_get
from gofau.errors import UserError


def fetch(url: str, md5: str, data_dir: str | Path) -> Path:
    """Download a file into ``data_dir`` with torchvision's helper.

    It arrives in a folder of its own and is renamed when its checksum is right, so that a sweep's
    processes may all do this at once and an interrupted one leaves nothing half-written.

    Args:
        url: what; the file keeps its last part as name.
        md5: of the whole file, hexadecimal.
        data_dir: where to; it is made when missing.

    Raises:
        UserError: no network, a wrong checksum, or a folder that cannot be written.
    """
    # Imported here: it costs a second, and most runs find their data in the cache.
    from torchvision.datasets.utils import download_url

    folder = Path(data_dir).expanduser()
    name = url.rsplit("/", 1)[-1]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as arriving:
            download_url(url, arriving, name, md5)
            os.replace(Path(arriving) / name, folder / name)
    except (OSError, RuntimeError, HTTPException) as error:
        reason = str(error).rstrip(".")
        raise UserError(
            f"{name} could not be downloaded to {folder} ({reason}): {how_to_get(url, folder)}"
        ) from error
    return folder / name
