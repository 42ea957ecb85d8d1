"""A lock file that lets one process at a time work on a run, also on network file systems.

The file is created with link(2), which is atomic on NFS too, and names its holder. A lock becomes
stale when its holder is gone: on the same machine, when the process no longer exists; on another
machine, when the holder has not touched the file for `SILENCE`, by the file system's clock.
"""

import json
import os
import platform
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

HEARTBEAT = 15.0
"""Seconds between touches by the holder."""
SILENCE = 120.0
"""Seconds without a touch after which a holder on another machine counts as dead."""


class Taken(Exception):
    """Another process holds the lock; the text names it."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Args:
        host: the name of the machine, for messages.
        machine: its boot and process namespace, within which process numbers are comparable.
        pid, born: the process number and its start time in clock ticks, as numbers are reused.
        token: unique to this acquisition of the lock.
    """

    host: str
    machine: str
    pid: int
    born: str
    token: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def me() -> Holder:
    """This process, as a new holder."""
    pid = os.getpid()
    return Holder(platform.node(), _machine(), pid, _born(pid) or "", uuid.uuid4().hex)


@contextmanager
def lock(path: Path) -> Iterator[Holder]:
    """Hold ``path`` while the block runs.

    Raises:
        Taken: a living process holds it.
        OSError: the folder cannot be written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "lock"
    >>> with lock(path) as holder:
    ...     holder.pid == os.getpid(), path.exists()
    (True, True)
    >>> path.exists()
    False
    """
    holder = me()
    path.parent.mkdir(parents=True, exist_ok=True)
    if not _place(path, holder):
        _take_over(path, holder)
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, stop), daemon=True)
    beat.start()
    try:
        yield holder
    finally:
        stop.set()
        beat.join()
        # Another machine may have replaced our lock as stale; then it is not ours to remove.
        if _read(path) == holder:
            path.unlink(missing_ok=True)


def holder_of(path: Path) -> Holder | None:
    """The living holder of a lock; None if there is none."""
    holder = _read(path)
    return None if holder is None or _is_stale(path, holder) else holder


def _place(path: Path, holder: Holder) -> bool:
    """Create the lock file; returns False if there is one already."""
    # The temporary file is not in the run's folder, which another process may remove while empty.
    mine = path.parent.with_name(f".{path.parent.name}.{holder.token}")
    mine.write_text(json.dumps(asdict(holder)), encoding="utf-8")
    try:
        # A link appears with its whole content; a lock that is created and then written could be
        # read half-written, without its holder.
        path.parent.mkdir(exist_ok=True)
        os.link(mine, path)
    except FileNotFoundError:  # the folder was removed between these two lines
        return _place(path, holder)
    except FileExistsError:
        return False
    except PermissionError:  # a file system without hard links: use exclusive creation
        return _create(path, holder)
    finally:
        mine.unlink(missing_ok=True)
    return True


def _create(path: Path, holder: Holder) -> bool:
    try:
        with open(path, "x", encoding="utf-8") as f:
            f.write(json.dumps(asdict(holder)))
    except FileExistsError:
        return False
    return True


def _take_over(path: Path, holder: Holder) -> None:
    """Replace a stale lock. Two processes may find it stale, but only one may replace it: the one
    that holds a second lock, the guard, checks again and then replaces it."""
    guard = path.with_name(f"{path.name}.takeover")
    found = _read(path)
    if found is not None and not _is_stale(path, found):
        raise Taken(str(found))
    if not _place(guard, holder):
        other = _read(guard)
        if other is None or not _is_stale(guard, other):
            raise Taken(str(other or "another process"))
        guard.unlink(missing_ok=True)  # its holder died in the few lines below
        raise Taken(f"{other}, which died while taking over: try again")
    try:
        # Again, under the guard: another process may have replaced the lock since the first check.
        found = _read(path)
        if found is not None and not _is_stale(path, found):
            raise Taken(str(found))
        path.unlink(missing_ok=True)
        if not _place(path, holder):
            raise Taken(str(_read(path) or "another process"))
    finally:
        guard.unlink(missing_ok=True)


def _read(path: Path) -> Holder | None:
    """The holder that a lock file names; None without a file. An unreadable file has a holder that
    does not exist, and becomes stale by time."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        return Holder("?", "?", 0, "", "")


def _is_stale(path: Path, holder: Holder) -> bool:
    if holder.machine == _machine():
        born = _born(holder.pid)
        return born is None or born != holder.born
    return _age(path) > SILENCE


def _age(path: Path) -> float:
    """Seconds since the lock was touched, by the file system's clock: machines' clocks differ."""
    probe = path.with_name(f".{path.name}.now-{uuid.uuid4().hex}")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    except OSError:
        return 0.0
    finally:
        probe.unlink(missing_ok=True)


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        try:
            os.utime(path)
        except OSError:  # file system unavailable, or folder removed: try again later
            continue


def _machine() -> str:
    # Process numbers repeat after a reboot and in each container, so both are part of the name.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{platform.node()}/{os.name}"


def _born(pid: int) -> str | None:
    """The start time of a process; None if it does not exist (a zombie counts as not existing)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _signalled(pid)
    except OSError:
        return None
    # The name in brackets may hold spaces and brackets: what follows its last one is regular.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _signalled(pid: int) -> str | None:
    """Without /proc: an empty start time if the process exists, else None."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""
