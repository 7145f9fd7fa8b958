"""PagerDuty's Events API v2 as a server on this machine, with its limits, and faults on demand.

https://developer.pagerduty.com/docs/events-api-v2-overview: events of at most 512 kB, routing keys
of 32 characters, keys of incidents of at most 255, summaries of at most 1,024, and 120 events a
minute for each routing key.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from threading import Lock, Thread
from typing import Any, NamedTuple

from deploy.fake_slack.faults import Faults
from deploy.fake_slack.rates import Buckets

ROUTING_KEY = "R" * 32
ENQUEUE = "enqueue"
LARGEST_EVENT = 512_000
PER_MINUTE = 120.0
_ACTIONS = ("trigger", "acknowledge", "resolve")
_SEVERITIES = ("critical", "error", "warning", "info")


class Incident(NamedTuple):
    """One incident; an event with its key changes it until it is resolved. One that somebody has
    acknowledged stays so, and pages nobody, when it is triggered again."""

    key: str
    status: str
    events: tuple[dict[str, Any], ...]
    """What was sent about it, the oldest first."""


class PagerDuty:
    """The state of an account with one integration."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock, self.faults, self.lock = clock, Faults(), Lock()
        self.incidents: list[Incident] = []
        """In the order in which they paged somebody."""
        self.calls = 0
        self._buckets = Buckets()

    def take(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """The answer to one event: its status and its JSON."""
        if len(body) > LARGEST_EVENT:
            return _invalid("the event is larger than 512 kB")
        try:
            event = json.loads(body)
        except ValueError:
            return _invalid("the event is no JSON")
        problems = _problems(event)
        if problems:
            return _invalid(*problems)
        if self._buckets.take(event["routing_key"], PER_MINUTE, PER_MINUTE / 60, self.clock()):
            return 429, {"status": "throttle exceeded", "message": "Requests were throttled"}
        key = event.get("dedup_key") or f"made-up-{len(self.incidents)}"
        self._apply(key, event)
        return 202, {"status": "success", "message": "Event processed", "dedup_key": key}

    def _apply(self, key: str, event: dict[str, Any]) -> None:
        open_ = [
            n for n, one in enumerate(self.incidents) if one.key == key and one.status != "resolved"
        ]
        if open_:
            found = self.incidents[open_[0]]
            status = {"acknowledge": "acknowledged", "resolve": "resolved"}
            self.incidents[open_[0]] = found._replace(
                status=status.get(event["event_action"], found.status),
                events=(*found.events, event),
            )
        elif event["event_action"] == "trigger":
            self.incidents.append(Incident(key, "triggered", (event,)))


class FakePagerDuty(NamedTuple):
    """A running fake."""

    account: PagerDuty
    url: str
    """Where events are sent."""


@contextmanager
def fake_pagerduty(account: PagerDuty | None = None) -> Iterator[FakePagerDuty]:
    """Serve on this machine only, on a free port, while the block runs."""
    account = account or PagerDuty()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.account = account
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield FakePagerDuty(account, f"http://127.0.0.1:{server.server_address[1]}/v2/{ENQUEUE}")
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    account: PagerDuty


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        account = self.server.account
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != f"/v2/{ENQUEUE}":
            return self._send(404, {"error": "not found"})
        fault = account.faults.take(ENQUEUE)
        with account.lock:
            account.calls += 1
            if fault is not None and fault.kind == "broken":
                return self._send(500, {"error": "internal error"})
            if fault is not None and fault.kind == "limited":
                return self._send(429, {"status": "throttle exceeded"})
            if fault is not None and fault.kind == "refused":
                return self._send(400, {"status": "invalid event", "errors": [fault.error]})
            status, answer = account.take(body)
        if fault is not None and fault.kind == "slow":
            time.sleep(fault.seconds)
        if fault is not None and fault.kind == "lost":
            self.close_connection = True
            return self.connection.shutdown(SHUT_RDWR)
        return self._send(status, answer)

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _problems(event: Any) -> list[str]:
    if not isinstance(event, dict):
        return ["the event is no object"]
    found = []
    if event.get("routing_key") != ROUTING_KEY:
        found.append("'routing_key' is not of an integration here (32 characters)")
    if event.get("event_action") not in _ACTIONS:
        found.append(f"'event_action' must be one of {', '.join(_ACTIONS)}")
    if len(event.get("dedup_key") or "") > 255:
        found.append("'dedup_key' is longer than 255 characters")
    if event.get("event_action") != "trigger":
        return found if event.get("dedup_key") else [*found, "'dedup_key' is missing or blank"]
    payload = event.get("payload") or {}
    for name in ("summary", "source", "severity"):
        if not payload.get(name):
            found.append(f"'payload.{name}' is missing or blank")
    if len(payload.get("summary") or "") > 1024:
        found.append("'payload.summary' is longer than 1024 characters")
    if payload.get("severity") not in _SEVERITIES:
        found.append(f"'payload.severity' must be one of {', '.join(_SEVERITIES)}")
    return found


def _invalid(*errors: str) -> tuple[int, dict[str, Any]]:
    message = "Event object is invalid"
    return 400, {"status": "invalid event", "message": message, "errors": list(errors)}
