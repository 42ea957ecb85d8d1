"""What a task measured, as rows of csv files."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """What a task measured.

    Attributes:
        cells: the rows of ``cells.csv``, without provenance.
        files: the rows of the other files, by name.
        value: one number for the whole task.
        label: what that number is.
    """

    cells: list[dict[str, Any]]
    files: dict[str, list[Row]]
    value: float
    label: str
