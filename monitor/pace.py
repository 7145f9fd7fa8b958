"""How a long reading of files tells how far it is, and how it is ended in the middle."""

from collections.abc import Callable

FETCHED = "bytes fetched"
DIGESTED = "bytes digested"
QUEUEING = "waiting for another download"
BYTES = frozenset({FETCHED, DIGESTED})
"""What is counted in bytes."""

Pace = Callable[[str, int, int], None]
"""Gets what is counted, how much of it is done and how much there is, after every piece.

It ends the reading by raising, and what was read so far stays. What it raises is no OSError, no
SourceError and no CheckpointRefusedError: these say something about the files.
"""


def unhurried(what: str, done: int, total: int) -> None:
    """The pace of a reading that nobody follows or ends."""
