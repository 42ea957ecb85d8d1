"""Reads csv files of results, or says in one sentence why one cannot be read."""

import gzip
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from gofau.errors import UserError
from gofau.report.types import Frame


def read_csv(
    path: Path, needs: Iterable[str] = (), *, may_be_empty: bool = False, **options: Any
) -> Frame:
    """Read a csv file, packed or not.

    Args:
        path: the file.
        needs: columns that it must have.
        may_be_empty: whether a header without rows is a file to be read.
        options: of `pandas.read_csv`.

    Raises:
        UserError: it is missing, damaged or empty, or lacks a column.
    """
    try:
        found = pd.read_csv(path, **options)
    except FileNotFoundError as e:
        raise UserError(f"there is no {path}") from e
    # Among ValueErrors are pandas' own errors, and texts that are not UTF-8.
    except (OSError, EOFError, zlib.error, gzip.BadGzipFile, ValueError) as e:
        raise _damaged(path, str(e).splitlines()[0]) from e
    missing = [column for column in needs if column not in found]
    if missing:
        raise _damaged(path, f"there is no column {missing[0]}")
    if not len(found) and not may_be_empty:
        raise _damaged(path, "there are no rows")
    return found


def _damaged(path: Path, why: str) -> UserError:
    return UserError(
        f"{path} cannot be read ({why}): restore it from git (git checkout -- {path}), or make it"
        " again"
    )
