"""A process that must not outlive its parent."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


def die_with_parent(parent: int) -> None:
    """Have this process killed when its parent `parent` dies, or at once when it has died."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
