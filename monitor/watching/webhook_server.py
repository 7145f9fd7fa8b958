"""Takes messages that something was published, beside the watch, and wakes it."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from monitor import webhooks
from monitor.errors import SettingsError
from monitor.settings.webhooks import WebhookSettings
from monitor.webhooks import Message, RefusedMessageError, Replays, Verify

MAX_BODY = 1 << 20
LEAST_PAUSE_SECONDS = 1.0
"""Between two looks, however many messages come."""
_START_SECONDS = 10.0


class Alarm:
    """Sleep that a message ends."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self) -> None:
        """End the sleep that is under way, or the next one."""
        self._rung.set()

    def sleep(self, seconds: float) -> None:
        """Until the time is over or the alarm rings; at least the least pause."""
        pause = min(seconds, LEAST_PAUSE_SECONDS)
        time.sleep(pause)
        self._rung.wait(seconds - pause)
        self._rung.clear()


@contextmanager
def listening(
    settings: WebhookSettings, ring: Callable[[], None], others: Sequence[Route] = ()
) -> Iterator[int | None]:
    """Take messages within the block; the port, None where the settings ask for nothing.

    `others` are answered at the same port.

    Raises SettingsError when the address can't be used, or is open to others without a secret.
    """
    if settings.host is None:
        yield None
        return
    settings.refuse_unguarded()
    config = uvicorn.Config(
        receiver(settings, ring, others),
        host=settings.host,
        port=settings.port,
        log_level="critical",
        access_log=False,
        server_header=False,
        limit_concurrency=64,
        timeout_keep_alive=5,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=_serve, args=(server,), daemon=True)
    thread.start()
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise SettingsError(
                f"webhooks.host, webhooks.port: can't listen at {settings.host}:{settings.port}; "
                "another process may have the port"
            )
        time.sleep(0.01)
    try:
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()


def receiver(
    settings: WebhookSettings,
    ring: Callable[[], None],
    others: Sequence[Route] = (),
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """The application: 204 for a genuine message, 401 for any other, and no word of why.

    /healthz answers whoever asks, for probes.
    """
    replays = Replays()
    routes = [Route("/healthz", _healthy), *others]
    for path, verify in _verifiers(settings).items():
        routes.append(Route(path, _endpoint(verify, replays, ring, clock), methods=["POST"]))
    return Starlette(routes=routes)


def _healthy(request: Request) -> Response:
    return PlainTextResponse("ok\n")


def _endpoint(
    verify: Verify, replays: Replays, ring: Callable[[], None], clock: Callable[[], float]
) -> Callable[[Request], object]:
    async def take(request: Request) -> Response:
        body = b""
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    return Response(status_code=413)
        except ClientDisconnect:
            return Response(status_code=400)
        message = Message(dict(request.headers), body, clock())
        try:
            message_id = verify(message)
            if message_id is not None:
                replays.refuse_seen(message_id, message.at)
        except RefusedMessageError:
            return Response(status_code=401)
        ring()
        return Response(status_code=204)

    return take


def _verifiers(settings: WebhookSettings) -> dict[str, Verify]:
    found: dict[str, Verify] = {}
    if settings.secret is not None:
        found["/v1/events"] = webhooks.generic(settings.secret.get_secret_value())
    elif not settings.has_secret:  # on this machine alone, as the settings see to
        found["/v1/events"] = lambda message: None
    if settings.hub_secret is not None:
        found["/v1/hub"] = webhooks.hub(settings.hub_secret.get_secret_value())
    if settings.mlflow_secret is not None:
        found["/v1/mlflow"] = webhooks.mlflow(settings.mlflow_secret.get_secret_value())
    return found


def _serve(server: uvicorn.Server) -> None:
    try:
        server.run()
    except SystemExit:  # uvicorn's answer to an address that can't be used
        return
