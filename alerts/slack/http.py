"""Answers over HTTP, as a WSGI application: only what Slack has signed, and nothing twice."""

import json
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any
from urllib.parse import parse_qs

from slack_sdk.signature import Clock, SignatureVerifier

from alerts.slack.interaction import Handler

logger = logging.getLogger(__name__)

PATH = "/slack/interactions"
LARGEST_BODY = 1_000_000
REMEMBERED_SECONDS = 600.0
"""Twice the age that Slack's rules let a request have."""

Start = Callable[[str, list[tuple[str, str]]], object]


class SlackEndpoint:
    """Takes interactions at PATH and hands their payloads to `handler`."""

    def __init__(self, signing_secret: str, handler: Handler, clock: Callable[[], float]) -> None:
        self._handler, self._clock = handler, clock
        self._verifier = SignatureVerifier(signing_secret, _ClockOf(clock))
        self._seen: dict[str, float] = {}
        self._lock = Lock()
        self._later = ThreadPoolExecutor(max_workers=4, thread_name_prefix="slack")

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """The WSGI application."""
        status, body = self._respond(environ)
        kind = "application/json" if body else "text/plain"
        start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    def _respond(self, environ: dict[str, Any]) -> tuple[str, bytes]:
        if environ.get("PATH_INFO") != PATH:
            return "404 Not Found", b""
        if environ.get("REQUEST_METHOD") != "POST":
            return "405 Method Not Allowed", b""
        length = str(environ.get("CONTENT_LENGTH") or "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            return "413 Content Too Large", b""
        try:
            body = environ["wsgi.input"].read(int(length))
        except OSError:  # the rest of it never came
            return "408 Request Timeout", b""
        timestamp = environ.get("HTTP_X_SLACK_REQUEST_TIMESTAMP", "")
        signature = environ.get("HTTP_X_SLACK_SIGNATURE", "")
        if not self._is_signed(body, timestamp, signature) or not self._is_new(signature):
            return "401 Unauthorized", b""
        try:
            [text] = parse_qs(body.decode(), strict_parsing=True)["payload"]
            payload = json.loads(text)
            if not isinstance(payload, dict):
                raise ValueError("not an object")
        except (KeyError, ValueError, RecursionError):
            return "400 Bad Request", b""
        reply = self._handler(payload)
        if reply.then is not None:
            self._later.submit(_logged, reply.then)
        return "200 OK", b"" if reply.body is None else json.dumps(reply.body).encode()

    def _is_signed(self, body: bytes, timestamp: str, signature: str) -> bool:
        try:
            return self._verifier.is_valid(body, timestamp, signature)
        except (ValueError, TypeError):  # a time that is no number, a body that is no text
            return False

    def _is_new(self, signature: str) -> bool:
        now = self._clock()
        with self._lock:
            self._seen = {s: at for s, at in self._seen.items() if at > now - REMEMBERED_SECONDS}
            if signature in self._seen:
                return False
            self._seen[signature] = now
        return True


class _ClockOf(Clock):
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock()


def _logged(then: Callable[[], None]) -> None:
    try:
        then()
    except Exception:
        logger.exception("an answer from Slack could not be finished")
