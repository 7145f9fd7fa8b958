"""Answers over Socket Mode: Slack is called, so nothing in the house has to be reachable."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from slack_sdk import WebClient
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from alerts.channel import ChannelError, NotNowError, RefusedError, UnclearError
from alerts.slack.errors import told
from alerts.slack.interaction import Handler

logger = logging.getLogger(__name__)

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 5.0, 120.0
"""Between two tries to open the socket; each wait is twice as long as the one before."""


@contextmanager
def socket_mode(
    app_token: str, client: WebClient, handler: Handler, report: Callable[[str], None]
) -> Iterator[None]:
    """Hand interactions to `handler` while the block runs; a lost connection is made anew.

    Raises RefusedError when Slack refuses the token at the start. Where it does not answer, it is
    tried again beside the block, which `report` is told.
    """

    def receive(socket: BaseSocketModeClient, request: SocketModeRequest) -> None:
        try:
            reply = handler(request.payload) if request.type == "interactive" else None
        except Exception:
            # Not acknowledged, so that the person is told and Slack sends it again.
            logger.exception("an answer from Slack could not be taken")
            return
        body = None if reply is None else reply.body
        socket.send_socket_mode_response(SocketModeResponse(request.envelope_id, body))
        if reply is not None and reply.then is not None:
            reply.then()

    socket = SocketModeClient(app_token=app_token, web_client=client)
    socket.socket_mode_request_listeners.append(receive)

    def connect() -> None:
        # Not left to the client, which sleeps through a 429 and would use an address twice.
        opened = told(lambda: client.apps_connections_open(app_token=app_token))
        address = opened.get("url")
        if not address:
            raise UnclearError("Slack named no address for Socket Mode")
        socket.wss_uri = str(address)
        told(socket.connect)
        if not socket.is_connected():  # which the client only logs
            raise UnclearError("Slack's address for Socket Mode did not answer")
        if ended.is_set():
            socket.close()

    ended = Event()
    try:
        try:
            connect()
        except RefusedError:
            raise
        except ChannelError as error:
            again = (connect, error, ended, report)
            Thread(target=_connect_later, args=again, daemon=True, name="socket mode").start()
        yield
    finally:
        ended.set()
        socket.close()


def _connect_later(
    connect: Callable[[], None],
    error: ChannelError,
    ended: Event,
    report: Callable[[str], None],
) -> None:
    wait, said = FIRST_WAIT_SECONDS, ""
    while True:
        if str(error) != said:
            said = str(error)
            report(f"Socket Mode: no answers can be taken yet: {said}; it is tried again")
        seconds = max(wait, error.seconds) if isinstance(error, NotNowError) else wait
        if ended.wait(seconds):
            return
        wait = min(2 * wait, LONGEST_WAIT_SECONDS)
        try:
            connect()
        except ChannelError as another:
            error = another
        else:
            report("Socket Mode: answers are taken now")
            return
