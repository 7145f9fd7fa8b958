"""Raises the loopback interface of a new network namespace, then runs a command there.

vLLM's processes find each other at 127.0.0.1, and in a new namespace even that is down. Where the
namespace belongs to a user namespace, what it took to raise it is given up before the command runs.
"""

import fcntl
import os
import socket
import struct
import sys
from collections.abc import Sequence

_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914  # linux/sockios.h
_IFF_UP = 0x1  # linux/if.h
_WITHOUT_CAPABILITIES = ("setpriv", "--ambient-caps=-all", "--inh-caps=-all", "--")


def raise_loopback() -> None:
    """Raises OSError where this process may not, or there is no such interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        request = struct.pack("16sh14x", b"lo", 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(asked, _SIOCGIFFLAGS, request))
        fcntl.ioctl(asked, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def main(command: Sequence[str]) -> None:
    """Never returns."""
    raise_loopback()
    dropping = () if os.geteuid() == 0 else _WITHOUT_CAPABILITIES
    os.execvp((*dropping, *command)[0], [*dropping, *command])


if __name__ == "__main__":
    main(sys.argv[1:])
