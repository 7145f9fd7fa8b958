"""Whether the ports of the services are free, and who has them."""

import socket
from collections.abc import Iterable

import psutil

from deploy.stack.composition import CompositionError


def refuse_taken_ports(ports: Iterable[tuple[str, int]]) -> None:
    """Raises CompositionError that names every port, of the service beside it, on which somebody
    listens already.

    A server of somebody else that answers there would pass for ours.
    """
    taken = [
        f"port {port} of {name} is taken by {_holder(port)}"
        for name, port in ports
        if not _is_free(port)
    ]
    if taken:
        raise CompositionError(
            f"{'; '.join(taken)}: end it, or take other ports: "
            "`python -m deploy.stack --free-ports`"
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Connections of a server that has ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    try:
        for one in psutil.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr.port == port and one.pid:
                return f"{psutil.Process(one.pid).name()} (process {one.pid})"
    except psutil.Error:
        pass  # only root sees those of others
    return "another process"
