"""Runs on disk: identity, folder, record and lock of a run. Nothing here needs torch."""

from gofau.runs.files import write_whole
from gofau.runs.identity import LATER, SECTIONS, folder_name, identity, science
from gofau.runs.record import FINISHED, STATES, Run, State, read_status

__all__ = [
    "FINISHED",
    "LATER",
    "SECTIONS",
    "STATES",
    "Run",
    "State",
    "folder_name",
    "identity",
    "read_status",
    "science",
    "write_whole",
]
