"""Independent pieces of work, in several processes at once."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from gofau.errors import UserError
from gofau.runs.cores import cores, wished

T = TypeVar("T")


def side_by_side(jobs: Sequence[Callable[[], T]], processes: int | None = None) -> list[T]:
    """Do all jobs; returns their results in the order of the jobs.

    Args:
        jobs: functions without arguments that can be pickled (`functools.partial` of functions of a
            module); put the longest first, so that none is begun last and waited for.
        processes: at most this many at once; 1: in this process; None: ``GOFAU_JOBS`` if
            it is set, else one per usable core.

    Raises:
        UserError: a process was ended from outside, for example for lack of memory.
        whatever a job raises; jobs that have not begun by then are not done.

    >>> from functools import partial
    >>> side_by_side([partial(pow, 2, 3), partial(pow, 2, 4)], processes=1)
    [8, 16]
    """
    count = min(processes or wished() or cores(), len(jobs))
    if count <= 1:
        return [job() for job in jobs]
    # Spawned, not forked: numpy has started threads by now, and a copy of a process with threads
    # can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_attend) as pool:
        try:
            # Processes that start while it is ignored ignore it from their first moment.
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                futures = [pool.submit(job) for job in jobs]
            finally:
                signal.signal(signal.SIGINT, before)
            return [future.result() for future in futures]
        except BrokenProcessPool as e:
            raise UserError(
                "a process that shared the work was ended from outside, perhaps for lack of memory:"
                " type the command again"
            ) from e
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _attend() -> None:
    """Ctrl-C reaches all processes, and only the first one answers; with the first one the others
    end, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_first, daemon=True).start()


def _end_with_the_first() -> None:
    first = multiprocessing.parent_process()
    assert first is not None
    first.join()
    os.kill(os.getpid(), signal.SIGTERM)
