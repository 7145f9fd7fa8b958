"""Processes that do not outlive the one that started them, even when that is killed."""

import ctypes
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def _ask_for_a_signal() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


END_WITH_PARENT: Callable[[], None] | None = _ask_for_a_signal if sys.platform == "linux" else None
"""What a new process runs first: the kernel then tells it to stop when the thread that started it
has ended. Elsewhere than on Linux nothing does."""
