"""One start of the stack per directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.stack.composition import CompositionError


@contextmanager
def locked(directory: Path) -> Iterator[int]:
    """The descriptor of the lock on `directory`, held until the block and every process that has
    inherited it have ended. Raises CompositionError where somebody else holds it."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            starter = file.read().strip() or "?"
            raise CompositionError(
                f"{directory} is in use: the stack that process {starter} started runs there, or "
                "what it left is still stopping; wait, or choose another --directory"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file.fileno()
