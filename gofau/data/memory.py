"""How much memory there is."""

import os
from pathlib import Path

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux says how much a container may use, in its two versions of control groups."""


def available() -> int:
    """Bytes of memory that this process may use: the machine's, or its container's limit.

    >>> available() > 0
    True
    """
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in LIMITS:
        try:
            sizes.append(int(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no control groups here, or "max"
            continue
    return min(sizes)


def gigabytes(size: float) -> str:
    """
    >>> gigabytes(12_345_678_901)
    '12.3 GB'
    """
    return f"{size / 1e9:,.1f} GB"
