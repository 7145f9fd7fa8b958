"""`latentwatch exporter`: one process that answers Prometheus at /metrics."""

import threading
from collections.abc import Callable
from http.server import HTTPServer
from typing import NamedTuple

from prometheus_client import CollectorRegistry, start_http_server

from monitor.errors import SettingsError
from monitor.metrics.collector import DatabaseCollector
from monitor.settings import Settings


class Exporter(NamedTuple):
    """A running exporter."""

    port: int
    close: Callable[[], None]


def serve_metrics(settings: Settings, host: str, port: int, clock: Callable[[], float]) -> Exporter:
    """Answer at `host`:`port` from a thread of its own; port 0 takes a free one.

    Raises SettingsError where the address can't be used.
    """
    registry = CollectorRegistry()
    registry.register(DatabaseCollector(settings, clock))
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise SettingsError(
            f"--host {host} --port {port}: can't be listened on ({error}); choose another"
        ) from error

    def close() -> None:
        _stop(server, thread)

    return Exporter(server.server_port, close)


def _stop(server: HTTPServer, thread: threading.Thread) -> None:
    server.shutdown()
    server.server_close()
    thread.join()
