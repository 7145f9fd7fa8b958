"""What has been written survives a power cut only once it is flushed."""

import os
from pathlib import Path


def flush(path: Path) -> None:
    """Have the kernel write a file's contents, or a directory's entries, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
