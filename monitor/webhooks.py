"""Whether a message that something was published is genuine. It only wakes the watch.

Nothing in a message is believed or used but its signature, so its body is never parsed: the next
look finds out what is there.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from typing import NamedTuple

from alerts.destinations.standard_webhooks import PREFIX, signature

WINDOW_SECONDS = 300.0
"""How far a message's time may be from ours."""
MAX_REMEMBERED = 10_000


class RefusedMessageError(Exception):
    """A message is not genuine, too old, or seen before."""


class Message(NamedTuple):
    """What arrived."""

    headers: Mapping[str, str]
    """With names in lower case."""
    body: bytes
    at: float
    """When, in seconds since the epoch."""


Verify = Callable[[Message], str | None]
"""The id of a genuine message, None where its sender gives none. Raises RefusedMessageError."""


def generic(secret: str) -> Verify:
    """By the Standard Webhooks specification; `secret` is `whsec_` and base64, or any text.

    Raises ValueError when it is `whsec_` and something else.
    """
    key = generic_key(secret)
    return lambda message: _signed(message, key, "webhook-", "id")


def mlflow(secret: str) -> Verify:
    """As MLflow signs."""
    return lambda message: _signed(message, secret.encode(), "x-mlflow-", "delivery-id")


def hub(secret: str) -> Verify:
    """As the Hugging Face Hub does: the secret itself, neither time nor id."""

    def verify(message: Message) -> None:
        given = message.headers.get("x-webhook-secret", "")
        if not hmac.compare_digest(given.encode(), secret.encode()):
            raise RefusedMessageError("another secret")

    return verify


class Replays:
    """The ids of the messages of the last minutes."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def refuse_seen(self, message_id: str, at: float) -> None:
        """Remember an id. Raises RefusedMessageError when it was seen before.

        What is older than twice the window can't come back: its time would be refused.
        """
        for old in [one for one, when in self._seen.items() if when < at - 2 * WINDOW_SECONDS]:
            del self._seen[old]
        if message_id in self._seen:
            raise RefusedMessageError("seen before")
        if len(self._seen) >= MAX_REMEMBERED:
            raise RefusedMessageError("too many messages")
        self._seen[message_id] = at


def _signed(message: Message, key: bytes, prefix: str, id_name: str) -> str:
    headers = message.headers
    message_id = headers.get(f"{prefix}{id_name}", "")
    timestamp = headers.get(f"{prefix}timestamp", "")
    if not message_id or not timestamp.isascii() or not timestamp.isdigit():
        raise RefusedMessageError("no id or no time")
    if len(timestamp) > 12 or abs(message.at - int(timestamp)) > WINDOW_SECONDS:
        raise RefusedMessageError("its time is not ours")
    expected = signature(key, message_id, timestamp, message.body)
    # Several are given while a secret is being changed.
    given = headers.get(f"{prefix}signature", "").split(" ")[:8]
    if not any([hmac.compare_digest(one.encode(), expected.encode()) for one in given]):
        raise RefusedMessageError("another signature")
    return f"{prefix}{message_id}"


def generic_key(secret: str) -> bytes:
    """What messages to `generic(secret)` are signed with. Raises ValueError as that does."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("what follows whsec_ must be base64") from error
