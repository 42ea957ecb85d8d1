"""Independent pieces of work, in several processes at once."""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from gofau.runs.cores import cores

T = TypeVar("T")


def side_by_side(jobs: Sequence[Callable[[], T]], processes: int | None = None) -> list[T]:
    """Do all jobs; returns their results in the order of the jobs.

    Args:
        jobs: functions without arguments that can be pickled (`functools.partial` of functions of a
            module); put the longest first, so that none is begun last and waited for.
        processes: at most this many at once; 1: in this process; None: one per usable core.

    Raises:
        whatever a job raises; jobs that have not begun by then are not done.

    >>> from functools import partial
    >>> side_by_side([partial(pow, 2, 3), partial(pow, 2, 4)], processes=1)
    [8, 16]
    """
    count = min(processes or cores(), len(jobs))
    if count <= 1:
        return [job() for job in jobs]
    # Spawned, not forked: numpy has started threads by now, and a copy of a process with threads
    # can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_quiet) as pool:
        try:
            return [future.result() for future in [pool.submit(job) for job in jobs]]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _quiet() -> None:
    """Ctrl-C reaches all processes; only the first one answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
