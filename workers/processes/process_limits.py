"""How much of the machine the process that compares may take, and the reason when it wants more."""

import errno
import os
import resource
from pathlib import Path

from monitor.settings.limits import LimitSettings
from workers.processes.memory import want_of_memory

_DEVICES = Path("/dev")


def bind(limits: LimitSettings) -> None:
    """Hold this process, and those that it starts, to `limits` for good."""
    _lower(resource.RLIMIT_FSIZE, limits.file_bytes)  # writing more is an error: Python ignores
    _lower(resource.RLIMIT_NOFILE, limits.open_files)  # the signal that would kill it
    if limits.memory_bytes is not None and not sees_a_gpu():
        _lower(resource.RLIMIT_AS, limits.memory_bytes)


def limit_reached(error: BaseException, limits: LimitSettings) -> str | None:
    """Which limit led to `error`, and what to do; None where none did."""
    seen: BaseException | None = error
    while seen is not None:
        number = seen.errno if isinstance(seen, OSError) else None
        text = f"{type(seen).__name__}: {seen}"
        if number == errno.EFBIG or f"(os error {errno.EFBIG})" in text:
            return _told("limits.file_bytes", limits.file_bytes, "a file grew larger", seen)
        if number == errno.EMFILE or f"(os error {errno.EMFILE})" in text:
            return _told("limits.open_files", limits.open_files, "more files were opened", seen)
        wanting = want_of_memory(text)
        if wanting is not None and limits.memory_bytes is not None and not sees_a_gpu():
            return f"{wanting}; limits.memory_bytes allows {limits.memory_bytes:,}"
        seen = seen.__cause__ or seen.__context__
    return None


def _told(setting: str, value: int, what: str, error: BaseException) -> str:
    return (
        f"{what} than {setting} allows ({value:,}): {error}; see what of the checkpoint asks for "
        "that much, and raise the limit if that is right"
    )


def _lower(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(which, (most, most))


def sees_a_gpu() -> bool:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(_DEVICES.glob("nvidia[0-9]*"))
