"""The cores that this process may use."""

import os


def cores() -> int:
    """How many there are. Fewer than the machine has where a cluster's job or a container was given
    only some of them.

    >>> cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
