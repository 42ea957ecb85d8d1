"""The cache folder of compiled steps, and safe loading from it: its files are code that we run.

Three things can be wrong with a file, and there is a guard against each:

- another user wrote it: folder and file must belong to us, and only we may write to them (owner,
  mode, no link). They are opened once and checked by their descriptors, so nobody can exchange them
  after the check.
- it is damaged (a full disk, a power cut, a killed copy): the file contains a checksum. Without it,
  half a library would be mapped, and its first call would kill the process (SIGBUS).
- it is damaged later, while it is in use (a home on NFS that another machine empties): the file
  itself is never loaded, but a private copy of the checked bytes, deleted as soon as it is open.

A step is correct without the cache too: if the folder is refused, it is not used.
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
"""Logs a message once: every kernel would repeat it."""

PREFIX = "gofau-kernels-"
"""Prefix of the names of temporary files and folders."""

STALE_SECONDS = 3600
"""Age from which a temporary file or folder is taken for one that a killed process left behind: no
compiler may run that long."""

LARGEST = 1 << 26
"""Largest accepted file in bytes; a compiled step has about 20,000."""

_DIGEST = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """The folder for compiled steps, in $XDG_CACHE_HOME or ~/.cache. It need not exist.

    Raises:
        OSError: this user has no home folder.
    """
    root = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(root):  # not Path.home(), which raises a RuntimeError without a home
        root = os.path.join(os.path.expanduser("~"), ".cache")
    if not os.path.isabs(root):
        raise FileNotFoundError("there is no home folder (set XDG_CACHE_HOME)")
    return Path(root, "gofau", "kernels")


def read(name: str) -> bytes | None:
    """Read the library kept under a name. None if there is none that can be trusted; the log says
    why, unless the file just does not exist."""
    try:
        with _opened() as folder:
            content = _content(folder, name)
    except FileNotFoundError:
        return None
    except OSError as e:
        log_once(f"a cached compiled step is not used: {e}")
        return None
    binary = content[:-_DIGEST]
    if content != _sealed(binary):
        log_once(f"a cached compiled step is broken and is compiled again: {name}")
        return None
    return binary


def keep(name: str, binary: bytes) -> None:
    """Keep a library for later processes; replaces a file of that name. It is written to another
    name and renamed, so that nobody reads half of it. If it cannot be kept, the log says so."""
    try:
        with _opened() as folder:
            _write(folder, name, _sealed(binary))
    except OSError as e:
        log_once(f"compiled steps are not kept for later: {e}")


def load(binary: bytes) -> ctypes.CDLL:
    """Load the library that consists of these bytes, from a temporary copy that is deleted again.

    Raises:
        OSError: it is no library for this machine, or there is no folder to load it from.
    """
    error = OSError("no folder to load a library from")
    for place in places():  # a folder may be full, or mounted so that no code can be loaded from it
        try:
            with workshop(place) as folder:
                path = folder / "step.so"
                path.write_bytes(binary)
                return ctypes.CDLL(str(path))
        except OSError as e:
            error = e
    raise error


def places() -> list[Path]:
    """Folders for temporary files, best first. Only folders in which no other user can rename ours.

    Raises:
        OSError: there is none.
    """
    found = []
    for folder in (tempfile.gettempdir, cache_folder):  # the first is rarely on a network drive
        with contextlib.suppress(OSError):
            found.append(Path(os.path.realpath(folder())))
    guarded = [folder for folder in found if _guarded(folder)]
    if not guarded:
        names = " and ".join(map(repr, map(str, found))) or "no temporary folder and no home"
        raise PermissionError(f"no folder to compile in is safe from other users: {names}")
    return guarded


@contextlib.contextmanager
def workshop(place: Path) -> Iterator[Path]:
    """Context manager: a new folder that only this user can enter, removed at the end.

    Raises:
        OSError: it cannot be made.
    """
    folder, maker = tempfile.mkdtemp(prefix=PREFIX, dir=place), os.getpid()
    try:
        yield Path(folder)
    finally:
        # A process forked meanwhile must not remove it; TemporaryDirectory would.
        if os.getpid() == maker:
            shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Remove temporary files and folders that killed processes of this user left behind."""
    with contextlib.suppress(OSError):
        for path in [path for place in places() for path in place.glob(f"{PREFIX}*")]:
            _remove_if_stale(path)


def _remove_if_stale(path: Path) -> None:
    with contextlib.suppress(OSError):  # another process may remove it at the same time
        status = path.lstat()
        if status.st_uid != os.geteuid() or time.time() - status.st_mtime < STALE_SECONDS:
            return
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _guarded(folder: Path) -> bool:
    """Whether no other user can rename anything in the folder or in the folders above it. Their
    owners are not checked, because in a container root's folders may seem to be another user's."""
    try:
        modes = [os.stat(path).st_mode for path in (folder, *folder.parents)]
    except OSError:
        return False
    return all(mode & stat.S_ISVTX or not mode & 0o022 for mode in modes)


@contextlib.contextmanager
def _opened() -> Iterator[int]:
    """Context manager: the descriptor of the cache folder, which is created if needed. OSError if
    others own it or can write to it."""
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
        # `sudo` with the user's HOME: root would own the folder, so the user could not write to it.
        raise PermissionError(f"'{nearest}' is another user's home or cache")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _check_ours(status: os.stat_result, name: str) -> None:
    if status.st_uid != os.geteuid():
        raise PermissionError(f"'{name}' belongs to user {status.st_uid}, not to {os.geteuid()}")
    if status.st_mode & 0o022:
        mode = stat.S_IMODE(status.st_mode)
        raise PermissionError(f"'{name}' has mode {mode:o}: others can write to it")


def _content(folder: int, name: str) -> bytes:
    # NONBLOCK: opening a pipe would wait for a writer.
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        status = os.fstat(file)
        _check_ours(status, name)
        # A link count of 0 is fine: another process has just replaced the file.
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_size > LARGEST:
            raise PermissionError(f"'{name}' is not a plain file with one name and a likely size")
        with open(file, "rb", closefd=False) as stream:
            return stream.read(LARGEST)
    finally:
        os.close(file)


def _sealed(binary: bytes) -> bytes:
    """The bytes with their checksum appended, where loaders and debuggers ignore it."""
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
