"""Find the files of a data set, and read them from a folder or a zip, without extracting."""

import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gofau.errors import UserError


@dataclass(frozen=True)
class Source:
    """An open folder or zip.

    Args:
        path: the folder or zip itself.
        files: names of its files, sorted, with forward slashes; without hidden files, and without
            the single top folder that many archives have.
        folders: the same for its folders; a zip need not list them all.
        read: file → bytes; may be called from several threads; UserError if it cannot be read.
    """

    path: Path
    files: tuple[str, ...]
    folders: frozenset[str]
    read: Callable[[str], bytes]


def find(
    names: str | Sequence[str], data_dir: str | Path, url: str | None = None, below: str = ""
) -> Path:
    """The first of several files or folders that exists below ``data_dir``.

    Public, because a run's identity says which one is found (the full data set or a subset).

    Args:
        names: relative to ``data_dir``.
        data_dir: where they are looked for.
        url: what to fetch, for the error message if none exists.
        below: the subfolder of ``data_dir`` that it belongs in.

    Raises:
        UserError: none exists; the message says what to fetch and where to put it.

    >>> find("a.zip", "nowhere", url="https://example.org/a.zip")
    Traceback (most recent call last):
    gofau.errors.UserError: There is no a.zip in nowhere: fetch https://example.org/a.zip and ...
    """
    names = [names] if isinstance(names, str) else list(names)
    folder = Path(data_dir).expanduser()
    for name in names:
        if (folder / name).exists():
            return folder / name
    missing = " or ".join(names)
    raise UserError(f"There is no {missing} in {folder}: {how_to_get(url, folder, below)}")


def how_to_get(url: str | None, data_dir: str | Path, below: str = "") -> str:
    """The end of a sentence about missing data: what to fetch and where to put it."""
    key = f"dataset.data_dir{below and f'/{below}'}"
    return (
        f"fetch {url or 'it'} and put it in {Path(data_dir, below)} ({key}), or set the variable"
        f" GOFAU_DATA to the folder that holds {below or 'it'}."
    )


def fingerprint(path: Path) -> str:
    """Hash of names, sizes and modification times: quick, and different when the data has changed.

    Raises:
        UserError: the path cannot be read.
    """
    try:
        files = [path / name for name in _walk(path)[0]] if path.is_dir() else [path]
        lines = []
        for file in files:
            status = file.stat()
            name = file.relative_to(path.parent).as_posix()
            lines.append(f"{name}\t{status.st_size}\t{status.st_mtime_ns}")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


@contextmanager
def open_source(path: Path, roots: Sequence[str]) -> Iterator[Source]:
    """Open a folder or a zip; nothing is extracted.

    Args:
        path: the folder or zip.
        roots: folders expected at the top ("train", "val"); if none of them is there and
            everything is inside one folder, the contents of that folder are used.

    Raises:
        UserError: no such path, not a zip, a truncated zip, or an entry that points outside of it.
    """
    if path.is_dir():
        files, folders = _walk(path)
        yield _below_top(path, files, folders, roots, lambda name: _read_file(path, name))
        return
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise UserError(f"There is no file or folder {path}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise UserError(
            f"{path} is neither a folder nor a complete zip ({error}): fetch it again."
        ) from error
    with archive:
        names = [_checked(path, name) for name in archive.namelist()]
        files = [name for name in names if not name.endswith("/")]
        folders = [name.rstrip("/") for name in names if name.endswith("/")]
        yield _below_top(path, files, folders, roots, lambda name: _read_entry(archive, path, name))


def _below_top(
    path: Path,
    files: Sequence[str],
    folders: Sequence[str],
    roots: Sequence[str],
    read: Callable[[str], bytes],
) -> Source:
    files = [name for name in files if not _hidden(name)]
    folders = [name for name in folders if not _hidden(name)]
    tops = {name.split("/", 1)[0] for name in [*files, *folders]}
    top = f"{tops.pop()}/" if len(tops) == 1 and tops.isdisjoint(roots) else ""
    return Source(
        path,
        tuple(sorted({name.removeprefix(top) for name in files})),
        frozenset(name.removeprefix(top) for name in folders),
        lambda name: read(top + name),
    )


def _hidden(name: str) -> bool:
    """Such as what macOS leaves: ``.DS_Store`` in folders, a shadow tree ``__MACOSX`` in zips."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _checked(path: Path, name: str) -> str:
    """Refuse paths that leave the archive. Nothing is extracted, but such a file is suspect."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or name[1:2] == ":":
        raise UserError(f"{path} has the entry {name!r}, which points outside of it: refused.")
    return name


def _walk(path: Path) -> tuple[list[str], list[str]]:
    """Files and folders below a folder, as sorted relative paths. Links are followed."""
    files: list[str] = []
    folders: list[str] = []
    seen: set[str] = set()
    for here, below, names in os.walk(path, followlinks=True):
        # Each folder only once: a link to a folder above it would make the walk endless.
        real = os.path.realpath(here)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        prefix = Path(here).relative_to(path).as_posix()
        prefix = "" if prefix == "." else f"{prefix}/"
        files += [prefix + name for name in names]
        folders += [prefix + name for name in below]
    return sorted(files), sorted(folders)


def _read_file(path: Path, name: str) -> bytes:
    try:
        return (path / name).read_bytes()
    except OSError as error:
        raise UserError(f"{path / name} cannot be read: {error.strerror or error}.") from error


def _read_entry(archive: zipfile.ZipFile, path: Path, name: str) -> bytes:
    try:
        return archive.read(name)
    # zipfile raises RuntimeError if a password is needed.
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError) as error:
        raise UserError(f"{name} in {path} cannot be read: {error}.") from error
