"""Who is at work: a process, as the owner of a lease, whether it is gone, and the user."""

import os
import pwd
import re
import socket

import psutil

_SAME_START_SECONDS = 2.0  # psutil derives start times from a clock that may be corrected

_PROCESS = re.compile(r"(\d{1,9}):(\d+\.\d\d)")


def this_process() -> str:
    """`host:pid:start time` of the calling process; unique, as a pid is not used twice at once."""
    process = psutil.Process()
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"


def is_dead(owner: str) -> bool:
    """Whether `owner` was a process of this host that runs no more.

    False for other hosts: nobody can tell from here, so their leases have to run out. False too for
    what names no process.
    """
    host, _, process_name = owner.partition(":")
    named = _PROCESS.fullmatch(process_name)
    if host != socket.gethostname() or named is None:
        return False
    pid, started = named.groups()
    try:
        process = psutil.Process(int(pid))
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return abs(process.create_time() - float(started)) > _SAME_START_SECONDS
    except psutil.NoSuchProcess:
        return True


def this_user() -> str:
    """The user of the operating system: unlike a variable, nobody can just claim to be another."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # Containers run under numbers without a name.
        return f"uid:{os.getuid()}"
