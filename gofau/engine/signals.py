"""Signals that ask a run to stop: noted when they arrive, answered between two batches."""

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

ASKING = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
]


class Signals:
    """Inside this block a signal is only noted. A second Ctrl-C stops at once.

    Attributes:
        received: the signal to answer; None if there is none. Of several it is the first; but
            SIGTERM, which a job scheduler sends in addition to its own signals, gives way to them.

    >>> with Signals() as signals:
    ...     signal.raise_signal(signal.SIGTERM)
    ...     signals.received == signal.SIGTERM
    True
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():  # others get none
            self._before = {number: signal.signal(number, self._note) for number in ASKING}
        return self

    def __exit__(self, kind: type | None, value: object, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            # None: it was not set from Python, which therefore cannot restore it.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.received == signal.SIGINT:
            raise KeyboardInterrupt
        if number == signal.SIGINT:
            print(
                "\nstopping after this batch (Ctrl-C again: at once)", file=sys.stderr, flush=True
            )
        if self.received in (None, signal.SIGTERM):
            self.received = number

    def answer(self, number: int) -> None:
        """Do what the signal would have done without this class, now that the run is saved. A job
        scheduler's own handler may requeue the job and exit; if it returns, training continues."""
        handler = self._before.get(number)
        if callable(handler) and handler is not signal.default_int_handler:
            self.received = None
            handler(number, None)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            sys.exit(128 + number)  # as a shell reports a process that a signal ended
