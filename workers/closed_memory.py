"""Keeps what a worker knows from the processes of the same user that it starts."""

import ctypes

_PR_SET_DUMPABLE = 4  # of <sys/prctl.h>


def close_memory() -> None:
    """No process without privileges may read the memory or the environment of this one, or of a
    copy of it, from now on; nor can it be dumped. Raises OSError.

    The process that compares runs as the same user: without this it could read the addresses and
    passwords that are kept from its own environment.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0) != 0:
        raise OSError(ctypes.get_errno(), "the memory of this process can't be closed")
