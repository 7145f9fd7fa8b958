"""The HTTP endpoint: only what Slack has signed just now, only once, and only what it can read."""

import io
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from slack_sdk.signature import SignatureVerifier

from alerts.slack.http import LARGEST_BODY, PATH, SlackEndpoint
from alerts.slack.interaction import Reply

SECRET, NOW = "8f742231b10e8888abcd99yyyzzz85a5", 1_790_000_000.0


class Caller:
    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.now = NOW
        self.endpoint = SlackEndpoint(SECRET, self.handle, lambda: self.now)

    def handle(self, payload: dict[str, Any]) -> Reply:
        self.got.append(payload)
        return Reply({"response_action": "clear"}, None)

    def call(self, body: bytes, **changes: str) -> tuple[str, bytes]:
        timestamp = changes.get("HTTP_X_SLACK_REQUEST_TIMESTAMP", str(int(NOW)))
        signature = SignatureVerifier(SECRET).generate_signature(
            timestamp=timestamp, body=body.decode("latin-1")
        )
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": PATH,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "HTTP_X_SLACK_REQUEST_TIMESTAMP": timestamp,
            "HTTP_X_SLACK_SIGNATURE": signature,
        }
        said: list[str] = []
        parts = self.endpoint({**environ, **changes}, lambda status, _: said.append(status))
        return said[0], b"".join(parts)


BODY = urlencode({"payload": json.dumps({"type": "block_actions"})}).encode()


def test_what_slack_has_signed_is_handed_on_and_answered() -> None:
    caller = Caller()
    status, body = caller.call(BODY)
    assert status == "200 OK" and json.loads(body) == {"response_action": "clear"}
    assert caller.got == [{"type": "block_actions"}]


@pytest.mark.parametrize(
    "changes",
    [
        {"HTTP_X_SLACK_SIGNATURE": "v0=" + "0" * 64},
        {"HTTP_X_SLACK_SIGNATURE": ""},
        {"HTTP_X_SLACK_REQUEST_TIMESTAMP": "yesterday"},
        {"HTTP_X_SLACK_REQUEST_TIMESTAMP": ""},
        {"HTTP_X_SLACK_REQUEST_TIMESTAMP": str(int(NOW) - 301)},
        {"HTTP_X_SLACK_REQUEST_TIMESTAMP": str(int(NOW) + 301)},
    ],
)
def test_what_is_not_signed_or_not_of_now_is_refused(changes: dict[str, str]) -> None:
    caller = Caller()
    assert caller.call(BODY, **changes)[0] == "401 Unauthorized"
    assert caller.got == []


def test_the_same_request_again_is_refused() -> None:
    caller = Caller()
    assert caller.call(BODY)[0] == "200 OK"
    caller.now += 299.0  # as long as its signature is taken
    assert caller.call(BODY)[0] == "401 Unauthorized"
    assert len(caller.got) == 1


def test_a_forged_request_does_not_keep_out_the_genuine_one() -> None:
    caller = Caller()
    signature = SignatureVerifier(SECRET).generate_signature(
        timestamp=str(int(NOW)), body=BODY.decode()
    )
    forged = caller.call(BODY + b"&more=1", HTTP_X_SLACK_SIGNATURE=signature)
    assert forged[0] == "401 Unauthorized"
    assert caller.call(BODY)[0] == "200 OK"


@pytest.mark.parametrize(
    "body, status",
    [
        (b"payload=%7Bbroken", "400 Bad Request"),
        (b"payload=[]", "400 Bad Request"),
        (b"other=1", "400 Bad Request"),
        (b"payload=" + b"[" * 100_000, "400 Bad Request"),
        (b"\xff\xfe", "401 Unauthorized"),
    ],
)
def test_what_can_not_be_read_is_refused(body: bytes, status: str) -> None:
    caller = Caller()
    assert caller.call(body)[0] == status
    assert caller.got == []


@pytest.mark.parametrize(
    "changes, status",
    [
        ({"PATH_INFO": "/"}, "404 Not Found"),
        ({"REQUEST_METHOD": "GET"}, "405 Method Not Allowed"),
        ({"CONTENT_LENGTH": str(LARGEST_BODY + 1)}, "413 Content Too Large"),
        ({"CONTENT_LENGTH": "many"}, "413 Content Too Large"),
    ],
)
def test_nothing_else_is_served(changes: dict[str, str], status: str) -> None:
    assert Caller().call(BODY, **changes)[0] == status
