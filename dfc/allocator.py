"""Keep large temporaries in the process instead of asking the kernel for fresh pages every time."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Parameters of mallopt(3)."""
_KEEP_BYTES = 1 << 30
_GROW_BYTES = 256 << 20


def keep_memory() -> bool:
    """Tell glibc's malloc to reuse freed memory; False, and nothing changed, without glibc.

    By default every tensor above some megabytes is mapped anew and zeroed page by page, which can
    cost more than the arithmetic on it. Called once per process, before the first large tensor.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _KEEP_BYTES), (_TOP_PAD, _GROW_BYTES))
    return all(mallopt(name, value) == 1 for name, value in settings)
