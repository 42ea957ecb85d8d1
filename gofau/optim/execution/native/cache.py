"""The folder of compiled steps, and how one is loaded: what lies there is code that we will run.

Three things can be wrong with a file in it, and each has its own guard:

- somebody else wrote it: the folder and the file must be ours alone (owner, mode, no link). They
  are opened once and judged by their descriptors, so nothing can be swapped after the look.
- it is broken (a full disk, a power cut, a killed copy): a checksum is part of the file. Without
  it half a library is mapped and its first call kills the process (SIGBUS).
- it breaks later, while it runs (a home on NFS that is emptied by another machine): not the file
  itself is loaded but a private copy of the bytes that were checked, removed as soon as it is open.

Nothing here is needed for a step to be right: a folder that is refused is one that is not used.
"""

import contextlib
import ctypes
import functools
import hashlib
import logging
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)
log_once = functools.cache(logger.info)
"""What is refused here is refused again by every kernel."""

PREFIX = "gofau-kernels-"
"""Of all that is meant to be there for a moment only."""

STALE_SECONDS = 3600
"""Age from which such a thing was left behind by a killed process: no compiler is given so long."""

LARGEST = 1 << 26
"""Bytes; a compiled step has some 20,000."""

_DIGEST = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """Where compiled steps are kept: under $XDG_CACHE_HOME or ~/.cache. It need not exist.

    Raises:
        OSError: this user has no home.
    """
    root = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(root):  # not Path.home(): where there is no home, that raises
        root = os.path.join(os.path.expanduser("~"), ".cache")
    if not os.path.isabs(root):
        raise FileNotFoundError("there is no home folder (set XDG_CACHE_HOME)")
    return Path(root, "gofau", "kernels")


def read(name: str) -> bytes | None:
    """The library kept under a name; None where there is none that can be trusted, and one line in
    the log where that is not simply because it was never made."""
    try:
        with _opened() as folder:
            content = _content(folder, name)
    except FileNotFoundError:
        return None
    except OSError as e:
        log_once(f"a compiled step that was kept is not used: {e}")
        return None
    binary = content[:-_DIGEST]
    if content != _sealed(binary):
        log_once(f"a compiled step that was kept is broken, it is compiled again: {name}")
        return None
    return binary


def keep(name: str, binary: bytes) -> None:
    """Keep a library for later processes, in place of what has its name. It is written beside its
    place and renamed, so that nobody sees half of it; that it cannot be kept is told in the log."""
    try:
        with _opened() as folder:
            _write(folder, name, _sealed(binary))
    except OSError as e:
        log_once(f"compiled steps are not kept for later: {e}")


def load(binary: bytes) -> ctypes.CDLL:
    """The library made of these bytes, from a copy that is gone when this returns.

    Raises:
        OSError: it is no library for this machine, or there is no folder to load it from.
    """
    error = OSError("no folder to load a library from")
    for place in places():  # the next one, if programs may not be loaded from here, or it is full
        try:
            with workshop(place) as folder:
                path = folder / "step.so"
                path.write_bytes(binary)
                return ctypes.CDLL(str(path))
        except OSError as e:
            error = e
    raise error


def places() -> list[Path]:
    """Folders for temporary work, the best first: in which nobody else can rename what is ours.

    Raises:
        OSError: there is none.
    """
    found = []
    for folder in (tempfile.gettempdir, cache_folder):  # the first is rarely on a network
        with contextlib.suppress(OSError):
            found.append(Path(os.path.realpath(folder())))
    guarded = [folder for folder in found if _guarded(folder)]
    if not guarded:
        names = " and ".join(map(repr, map(str, found))) or "no temporary folder and no home"
        raise PermissionError(f"no folder to compile in is safe from other users: {names}")
    return guarded


@contextlib.contextmanager
def workshop(place: Path) -> Iterator[Path]:
    """A new folder that only this user can enter, removed at the end.

    Raises:
        OSError: it cannot be made.
    """
    folder, maker = tempfile.mkdtemp(prefix=PREFIX, dir=place), os.getpid()
    try:
        yield Path(folder)
    finally:
        # A process forked meanwhile leaves it to us. (So no TemporaryDirectory, which does not.)
        if os.getpid() == maker:
            shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Remove what killed processes of this user left behind in the temporary places."""
    with contextlib.suppress(OSError):
        for path in [path for place in places() for path in place.glob(f"{PREFIX}*")]:
            _remove_if_stale(path)


def _remove_if_stale(path: Path) -> None:
    with contextlib.suppress(OSError):  # another process removes it as well
        status = path.lstat()
        if status.st_uid != os.geteuid() or time.time() - status.st_mtime < STALE_SECONDS:
            return
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _guarded(folder: Path) -> bool:
    """Whether what is made in a folder stays there: neither in it nor above it can others rename.
    Who owns the folders is not asked: in a container root's may seem to be anybody's."""
    try:
        modes = [os.stat(path).st_mode for path in (folder, *folder.parents)]
    except OSError:
        return False
    return all(mode & stat.S_ISVTX or not mode & 0o022 for mode in modes)


@contextlib.contextmanager
def _opened() -> Iterator[int]:
    """The cache folder's descriptor, made if need be; OSError if it is not ours alone."""
    path = cache_folder()
    if path.is_symlink():
        raise PermissionError(f"'{path}' is a link")
    if not path.exists():
        _make(path)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _check_ours(os.fstat(folder), str(path))
        yield folder
    finally:
        os.close(folder)


def _make(path: Path) -> None:
    nearest = next(parent for parent in path.parents if parent.exists())
    if os.geteuid() == 0 and nearest.stat().st_uid != 0:
        # `sudo` with the user's HOME: the user could never write there again.
        raise PermissionError(f"'{nearest}' is another user's home or cache")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _check_ours(status: os.stat_result, name: str) -> None:
    if status.st_uid != os.geteuid():
        raise PermissionError(f"'{name}' belongs to user {status.st_uid}, not to {os.geteuid()}")
    if status.st_mode & 0o022:
        mode = stat.S_IMODE(status.st_mode)
        raise PermissionError(f"'{name}' has mode {mode:o}: others can write to it")


def _content(folder: int, name: str) -> bytes:
    # NONBLOCK: to open a pipe must not wait for somebody who writes into it.
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        status = os.fstat(file)
        _check_ours(status, name)
        # No links at all is right: another process has just put a new file in its place.
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_size > LARGEST:
            raise PermissionError(f"'{name}' is no plain file of one name and a likely size")
        with open(file, "rb", closefd=False) as stream:
            return stream.read(LARGEST)
    finally:
        os.close(file)


def _sealed(binary: bytes) -> bytes:
    """With its checksum behind it, where loaders and debuggers do not look."""
    return binary + hashlib.sha256(binary).digest()


def _write(folder: int, name: str, content: bytes) -> None:
    draft = f"{PREFIX}{secrets.token_hex(8)}"
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    try:
        with open(file, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(file)
        os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft, dir_fd=folder)
        raise
    os.fsync(folder)
