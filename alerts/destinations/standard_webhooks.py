"""The headers of a message that is signed as https://www.standardwebhooks.com has it."""

import base64
import hashlib
import hmac

PREFIX = "whsec_"
"""Of a secret in base64."""


def signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over id, timestamp and body with dots between them, in base64 behind the
    scheme's version."""
    signed = b".".join([message_id.encode(), timestamp.encode(), body])
    return f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"


def signed_headers(key: bytes, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """What a message needs besides its body; `at` in seconds since the epoch."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": signature(key, message_id, str(at), body),
    }
