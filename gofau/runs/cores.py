"""How many pieces of work this machine should do at once."""

import os

from gofau.errors import UserError


def cores() -> int:
    """How many cores this process may use. Fewer than the machine has where a cluster's job or a
    container was given only some of them.

    >>> cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def wished() -> int | None:
    """How many processes the user wants at once: ``GOFAU_JOBS``; None if it is not set.

    Raises:
        UserError: it is no whole number from 1.
    """
    given = os.environ.get("GOFAU_JOBS", "")
    if not given:
        return None
    if not given.isdigit() or given == "0":
        raise UserError(f"GOFAU_JOBS must be a whole number ≥ 1, got {given!r}")
    return int(given)
