"""Ctrl-C and SIGTERM for a process that has diffs compared: the first one lets them save."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Signals that arrive while something runs, and can be put off until it has saved its work."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._asked: int | None = None
        self._told = False

    def must_stop(self) -> bool:
        """Whether a signal has come in the block that runs."""
        if self._asked is not None and not self._told:
            self._told = True  # here, because a handler must not write to a terminal
            self._report("stopping once the work is saved; the same signal again stops at once")
        return self._asked is not None

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """In the block the first signal makes `must_stop` true, and is obeyed when the block ends;
        a second one raises KeyboardInterrupt. What is ignored stays ignored."""
        if threading.current_thread() is not threading.main_thread():  # it gets no signals
            yield
            return
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        for number in _SIGNALS:
            if before[number] != signal.SIG_IGN:
                signal.signal(number, self._hear)
        try:
            yield
        finally:
            for number in _SIGNALS:
                signal.signal(number, before[number])
            asked, self._asked, self._told = self._asked, None, False
        if asked is not None:
            signal.raise_signal(asked)

    def _hear(self, number: int, _: FrameType | None) -> None:
        if self._asked is not None:
            raise KeyboardInterrupt
        self._asked = number
