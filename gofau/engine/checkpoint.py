"""Where a run goes on from: written atomically, checked when read, the generation before kept.

A checkpoint is one file, ``<step>-<first 16 digits of its sha256>.pt``. The name holds the
checksum, so that one rename publishes both; ``torch.load(…, weights_only=True)`` reads it, so that
a file from elsewhere can run no code.
"""

import hashlib
import io
import logging
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gofau.errors import UserError
from gofau.runs import write_whole

log = logging.getLogger(__name__)

FORMAT = 2
"""1: a trainer's sums were losses and numbers of right answers. 2: a sum per metric, by name."""
KEEP = 2
"""Generations on disk: the newest, and the one before in case that is torn."""


def save(folder: Path, identity: str, step: int, state: dict[str, Any]) -> Path:
    """Write a checkpoint and remove all but the `KEEP` newest.

    Args:
        folder: the run's ``checkpoints``.
        identity: the run's.
        step: how far it has come.
        state: tensors and plain values.

    Raises:
        OSError: it cannot be written; those before it are as they were.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "identity": identity, "state": state}, buffer)
    data = buffer.getvalue()
    folder.mkdir(exist_ok=True)
    for torn in folder.glob(".*"):  # left by a process that was killed; only one writes here
        torn.unlink(missing_ok=True)
    path = folder / f"{step:010d}-{_digest(data)}.pt"
    write_whole(path, data)
    for old in _generations(folder)[KEEP:]:
        old.unlink(missing_ok=True)
    return path


def load(folder: Path, identity: str) -> dict[str, Any] | None:
    """The newest state that is whole and of this run; None if there is none. One that is torn, of
    another run or of an older format is named in the log, and the one before it is taken.

    Raises:
        UserError: it was written by a newer gofau, whose work should not be thrown away.
    """
    for path in _generations(folder):
        try:
            return _read(path, identity)
        except _Unfit as e:
            log.warning("%s is not used: %s; looking for the one before", path, e)
    return None


class _Unfit(Exception):
    """Why a checkpoint is not used."""


def _read(path: Path, identity: str) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as e:
        raise _Unfit(f"it cannot be read ({e.strerror})") from e
    if _digest(data) != path.stem.partition("-")[2]:
        raise _Unfit("it is torn, its bytes are not those that were written")
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as e:
        raise _Unfit("it is no checkpoint of tensors and plain values") from e
    if not isinstance(content, dict) or not {"format", "identity", "state"} <= content.keys():
        raise _Unfit("it is not a checkpoint of gofau")
    if content["format"] > FORMAT:
        raise UserError(
            f"{path} was written by a newer gofau (format {content['format']}, this one knows"
            f" {FORMAT}): update gofau, or give rerun=true to begin anew"
        )
    if content["format"] < FORMAT:
        raise _Unfit(f"it was written by an older gofau (format {content['format']})")
    if content["identity"] != identity:
        raise _Unfit(f"it belongs to another run ({content['identity']})")
    return content["state"]


def _generations(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob("[0-9]*-*.pt"), reverse=True)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def random_state() -> dict[str, Any]:
    """The state of every generator of random numbers that training may draw from."""
    # numpy's old global generator: nothing of ours draws from it, but somebody's transform may.
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(np.asarray(keys, np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Go back to what `random_state` returned."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
