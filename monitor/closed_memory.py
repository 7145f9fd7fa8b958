"""Keeps what a process knows from others of the same user, such as those that open checkpoints."""

import ctypes

_PR_SET_DUMPABLE = 4  # of <sys/prctl.h>


def close_memory() -> None:
    """No process without privileges may read the memory or the environment of this one, or of a
    copy of it, from now on; nor can it be dumped. Raises OSError.

    A process that compares may run as the same user: without this it could read the addresses and
    passwords that are kept from its own environment. So every process that goes on running and
    holds them closes itself.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0) != 0:
        raise OSError(ctypes.get_errno(), "the memory of this process can't be closed")
