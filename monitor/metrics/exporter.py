"""`latentwatch exporter`: one process that answers Prometheus at /metrics.

At /healthz it answers without the database: to start it again for a fault of that would not help.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIServer

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

    Raises SettingsError where the address can't be used. A database that is away or isn't there yet
    is told of by every scrape.
    """
    registry = CollectorRegistry()
    registry.register(DatabaseCollector(settings, clock))
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise SettingsError(
            f"--host {host} --port {port}: can't be listened on ({error}); choose another"
        ) from error
    server.set_app(_with_health(server.get_app()))

    def close() -> None:
        _stop(server, thread)

    return Exporter(server.server_port, close)


def _with_health(metrics: Any) -> Any:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/healthz":
            found: Iterable[bytes] = metrics(environ, start_response)
            return found
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok\n"]

    return answer


def _stop(server: WSGIServer, thread: threading.Thread) -> None:
    server.shutdown()
    server.server_close()
    thread.join()
