"""A webhook of one's own, signed as https://www.standardwebhooks.com has it."""

import base64
import binascii
import json
from typing import Any, NamedTuple

from alerts.destinations.http_post import post
from alerts.destinations.notice import Notice, Trouble, iso
from alerts.destinations.standard_webhooks import PREFIX, signed_headers

SECRET_BYTES = (24, 64)
"""Fewest and most of a secret."""


def read_secret(secret: str) -> bytes:
    """The key that `whsec_` and base64 stand for. Raises ValueError, which does not repeat it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not SECRET_BYTES[0] <= len(key) <= SECRET_BYTES[1]:
        raise ValueError(
            f"must be {PREFIX} and the base64 of {SECRET_BYTES[0]} to {SECRET_BYTES[1]} random "
            f'bytes: echo "{PREFIX}$(openssl rand -base64 32)"'
        )
    return key


class SignedWebhook(NamedTuple):
    """A receiver, who can tell by `webhook-id` what came twice."""

    url: str
    key: bytes
    timeout: float

    def tell(self, notice: Notice, now: float) -> str:
        """Send the alert as it is now. Raises a ChannelError."""
        message_id = f"{notice.fingerprint}.{notice.alert.revision}"
        facts = notice.facts()
        self._send(message_id, f"alert.{facts['state']}", facts["changed_at"], facts, now)
        return message_id

    def tell_trouble(self, trouble: Trouble, now: float) -> str:
        """Send that a channel is away, or there again. Raises a ChannelError."""
        state = "up" if trouble.over else "down"
        data = {
            "channel": trouble.channel,
            "since": iso(trouble.since),
            "sentence": trouble.sentence,
        }
        message_id = f"{trouble.key}.{state}"
        self._send(message_id, f"channel.{state}", iso(now), data, now)
        return message_id

    def probe(self, now: float) -> str:
        """Send a `ping`, which a receiver has to take and to forget. Raises a ChannelError."""
        self._send(f"ping.{now:.0f}", "ping", iso(now), {}, now)
        return "took a ping"

    def _send(self, message_id: str, kind: str, at: str, data: dict[str, Any], now: float) -> None:
        content = {"type": kind, "timestamp": at, "data": data}
        body = json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
        headers = signed_headers(self.key, message_id, int(now), body)
        post(self.url, body, headers, self.timeout, now)
