"""Whose fault it is that a file of a push can't be read: that of the push, or of the machine."""

import errno
from pathlib import Path

from monitor.errors import CheckpointRefusedError, LatentwatchError, SourceError

_OF_THE_PUSH = frozenset(
    {
        *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP),
        errno.ENAMETOOLONG,
    }
)
"""These stay until somebody changes the push, which the next look sees. All others, such as EIO,
ESTALE and EMFILE, come from a disk, a mount or a limit, and say nothing about the push."""


def is_of_the_push(error: OSError) -> bool:
    """Whether `error` is a fact of the push, and no fault of the machine."""
    return error.errno in _OF_THE_PUSH


def unreadable(path: Path, error: OSError) -> LatentwatchError:
    """What to raise for the file `path`: CheckpointRefusedError, or SourceError where a later look
    may be able to read it."""
    if is_of_the_push(error):
        return CheckpointRefusedError(f"{path.name}: can't be read ({error.strerror})")
    return SourceError(
        f"{path}: can't be read now ({error.strerror}); look at the disk, the mount and the limits "
        "of this machine"
    )
