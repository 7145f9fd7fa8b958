"""Files that a reader sees whole, and that survive a power cut: only what is flushed does."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` in one step, below directories that are made where missing: a
    reader sees what was there before, or all of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_bytes(content)
        flush(scratch)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Have the kernel write a file's contents, or a directory's entries, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
