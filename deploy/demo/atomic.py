"""Write a file or a directory so that a reader sees all of it or nothing.

Scratch lies in a sibling of the final name's parent, on the same file system, so that a watched
directory never shows a half-written push and the last step is one rename.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dfc.durable import write_whole


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, replacing what was there, in one step."""
    write_whole(path, text.encode("utf-8"))


@contextmanager
def new_directory(path: Path, staging: Path) -> Iterator[Path]:
    """Yield an empty directory under `staging`, to be filled with files, that becomes `path` when
    the block ends well.

    `path` must not exist. When the block raises, nothing appears at `path` and the scratch is
    removed; after a kill the scratch stays in `staging`, where nobody looks for pushes.
    """
    staging.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=staging, prefix=f"{path.name}."))
    try:
        yield scratch
        for file in scratch.iterdir():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
            # Scratch files may be private to this user; a published push is readable by all.
            file.chmod(0o644)
        scratch.chmod(0o755)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.rename(scratch, path)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
