"""Locks on files that end with the process that holds them, also where the directory is on NFS.

NFSv4 gives a shared lock only on a file that is open for reading, and an exclusive one only on a
file that is open for writing. So every lock file is open for both.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def open_lock(path: Path) -> IO[bytes]:
    """The lock file `path`, made if it is not there."""
    return path.open("a+b")


@contextmanager
def shared(path: Path) -> Iterator[IO[bytes]]:
    """Hold the lock `path` beside others who hold it like this; waits for who has it alone."""
    with open_lock(path) as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield lock


def take_alone(lock: IO[bytes]) -> bool:
    """Whether this process has the lock for itself alone now; it does not wait for that."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
