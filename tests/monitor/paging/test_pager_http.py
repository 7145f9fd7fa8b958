"""The HTTP endpoint of `alerts serve`, from a socket: a client that breaks off is no news."""

import socket
import time
from collections.abc import Iterator

import pytest

from alerts.slack.http import SlackEndpoint
from alerts.slack.interaction import Reply
from monitor.paging import pager
from tests.services import free_port


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(pager._Quiet, "timeout", 0.2)
    port = free_port()

    endpoint = SlackEndpoint("secret", lambda _: Reply(None, None), time.time)
    with pager._over_http(f"127.0.0.1:{port}", endpoint):
        yield port


def answer(port: int, text: bytes) -> bytes:
    """What comes for `text` and nothing more until the server has had enough."""
    with socket.create_connection(("127.0.0.1", port), timeout=10.0) as client:
        client.sendall(text)
        return client.makefile("rb").read()


def test_a_request_that_breaks_off_leaves_no_trace(
    port: int, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert answer(port, b"POST /slack/interactions HTTP/1.1\r\nHost: a") == b""
    begun = b"POST /slack/interactions HTTP/1.1\r\nContent-Length: 100\r\n\r\npayload="
    assert b"408 Request Timeout" in answer(port, begun)
    assert "Traceback" not in capfd.readouterr().err + caplog.text


def test_a_mistake_of_ours_is_logged(port: int, caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("a mistake of ours")
    except ValueError:
        pager._Server.handle_error(None, None, ("127.0.0.1", 1))  # type: ignore[arg-type]
    assert "a mistake of ours" in caplog.text
