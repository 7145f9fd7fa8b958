"""Who is at work: a process, as the owner of a lease, whether it is gone, and the user."""

import os
import pwd
import re
import socket
from functools import cache
from pathlib import Path
from typing import NamedTuple

_PROCESS = re.compile(
    r"(?P<host>[^:]+):(?P<pid>[1-9]\d{0,8}):(?P<start>\d+):(?P<place>[^:]+:[^:]+)"
)


def this_process() -> str:
    """`host:pid:start:boot:namespace` of the calling process; no other process ever has the same.

    `start` is in clock ticks since the host was started, which no correction of the clock changes;
    `boot` is the id of that start; in the PID namespace, and nowhere else, the pid means something.
    """
    start = _stat("self").start
    return f"{socket.gethostname()}:{os.getpid()}:{start}:{_boot()}:{_namespace()}"


def host_of(owner: str) -> str:
    """The host on which `owner` runs."""
    return owner.partition(":")[0]


def is_dead(owner: str) -> bool:
    """Whether `owner` was a process that could be seen from here and runs no more."""
    return is_alive(owner) is False


def is_alive(owner: str) -> bool | None:
    """Whether the process `owner` runs; None where nobody can tell from here, so that its lease has
    to run out.

    That is so for another host; for another PID namespace, such as a container's with the host's
    name; for another start of a host, since two machines may well have one name (a pod that came up
    elsewhere, a clone); for what an earlier version wrote; and for what names no process.
    """
    named = _PROCESS.fullmatch(owner)
    if named is None or named["host"] != socket.gethostname():
        return None
    if named["place"] != f"{_boot()}:{_namespace()}":
        return None
    pid = int(named["pid"])
    # The kernel is asked first: /proc may hide the processes of other users.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    if not _proc_is_of_this_namespace():
        return None
    try:
        stat = _stat(str(pid))
    except OSError:
        return None
    return stat.state not in "ZX" and stat.start == int(named["start"])


class _Stat(NamedTuple):
    state: str
    start: int


def _stat(process: str) -> _Stat:
    text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    fields = text.rpartition(")")[2].split()  # the name before it may contain anything
    return _Stat(fields[0], int(fields[19]))


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").stat().st_ino)


def _proc_is_of_this_namespace() -> bool:
    """A process in a namespace of its own may still see the /proc of the one around it."""
    return os.readlink("/proc/self") == str(os.getpid())


def this_user() -> str:
    """The user of the operating system: unlike a variable, nobody can just claim to be another."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # Containers run under numbers without a name.
        return f"uid:{os.getuid()}"
