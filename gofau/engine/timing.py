"""Seconds per call of several ways to do the same work, measured in turns."""

import statistics
import time
from collections.abc import Callable, Mapping

LEAST, MOST = 3, 20
"""Rounds, each of one call per candidate."""
SECONDS = 1.0
"""No further round begins after this time, once there were `LEAST`."""


def seconds_per_call(
    candidates: Mapping[str, Callable[[], object]],
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """The median duration of a call of each candidate, by name. They take turns, so that a change
    of the machine's speed affects all of them. First calls, which prepare or compile, do not count.

    Args:
        candidates: name → a call, which returns when its work is done.
        clock: the time in seconds.

    >>> found = seconds_per_call({"sleepless": lambda: None})
    >>> found["sleepless"] < 1
    True
    """
    for call in candidates.values():
        call()
    found: dict[str, list[float]] = {name: [] for name in candidates}
    until = clock() + SECONDS
    for done in range(MOST):
        if done >= LEAST and clock() >= until:
            break
        for name, call in candidates.items():
            began = clock()
            call()
            found[name].append(clock() - began)
    return {name: statistics.median(each) for name, each in found.items()}
