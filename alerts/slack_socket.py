"""Answers over Socket Mode: Slack is called, so nothing in the house has to be reachable."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from slack_sdk import WebClient
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from alerts.slack_errors import told
from alerts.slack_interaction import Handler

logger = logging.getLogger(__name__)


@contextmanager
def socket_mode(app_token: str, client: WebClient, handler: Handler) -> Iterator[None]:
    """Hand interactions to `handler` while the block runs; a lost connection is made anew.

    Raises a ChannelError when Slack can't be reached at the start.
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
    try:
        told(socket.connect)
        yield
    finally:
        socket.close()
