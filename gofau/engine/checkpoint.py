"""Checkpoints: written atomically, verified when read; the previous one is kept as well.

A checkpoint is one file, ``<step>-<first 16 digits of its sha256>.pt``. The name holds the
checksum, so that one rename publishes both. ``torch.load(…, weights_only=True)`` reads the file, so
that one from elsewhere cannot run code.
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
"""1: a trainer's sums were of losses and correct answers. 2: there is a sum per metric, by name."""
KEEP = 2
"""Checkpoints on disk: the newest, and the previous one in case the newest is damaged."""


def save(folder: Path, identity: str, step: int, state: dict[str, Any]) -> Path:
    """Write a checkpoint and remove all but the `KEEP` newest.

    Args:
        folder: the run's ``checkpoints``.
        identity: that of the run.
        step: number of steps done.
        state: tensors and plain values.

    Raises:
        OSError: it cannot be written; earlier checkpoints are unchanged.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "identity": identity, "state": state}, buffer)
    data = buffer.getvalue()
    folder.mkdir(exist_ok=True)
    # Left by a process that was killed: only one process writes here at a time.
    for partial in folder.glob(".*"):
        partial.unlink(missing_ok=True)
    path = folder / f"{step:010d}-{_digest(data)}.pt"
    write_whole(path, data)
    for old in _generations(folder)[KEEP:]:
        old.unlink(missing_ok=True)
    return path


def load(folder: Path, identity: str) -> dict[str, Any] | None:
    """The state of the newest valid checkpoint of this run; None if there is none. One that is
    damaged, of another run or of an older format is named in the log, and the previous one is used.

    Raises:
        UserError: it was written by a newer gofau, whose work should not be lost.
    """
    for path in _generations(folder):
        try:
            return _read(path, identity)
        except _Unfit as e:
            log.warning("%s is not used: %s; trying the previous one", path, e)
    return None


def exists(folder: Path) -> bool:
    """Whether there is a checkpoint, valid or not."""
    return bool(_generations(folder))


class _Unfit(Exception):
    """Why a checkpoint is not used."""


def _read(path: Path, identity: str) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as e:
        raise _Unfit(f"it cannot be read ({e.strerror})") from e
    if _digest(data) != path.stem.partition("-")[2]:
        raise _Unfit("it is damaged: its bytes are not those that were written")
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as e:
        raise _Unfit("it is not a checkpoint of tensors and plain values") from e
    if not isinstance(content, dict) or not {"format", "identity", "state"} <= content.keys():
        raise _Unfit("it is not a checkpoint of gofau")
    if content["format"] > FORMAT:
        raise UserError(
            f"{path} was written by a newer gofau (format {content['format']}, this one knows"
            f" {FORMAT}): update gofau, or give rerun=true to start again"
        )
    if content["format"] < FORMAT:
        raise _Unfit(f"it was written by an older gofau (format {content['format']})")
    if content["identity"] != identity:
        raise _Unfit(f"it belongs to another run ({content['identity']})")
    return content["state"]


def _generations(folder: Path) -> list[Path]:
    """The checkpoints in the folder, newest first."""
    return sorted(folder.glob("[0-9]*-*.pt"), reverse=True)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def random_state() -> dict[str, Any]:
    """The state of every random number generator that training may use."""
    # numpy's legacy global generator: gofau does not use it, but a user's transform may.
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(np.asarray(keys, np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restore what `random_state` returned."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    # There is one state per GPU; resumed with another number of GPUs, a run keeps its fresh ones.
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
