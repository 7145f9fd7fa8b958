"""Asking an endpoint that has all the faults that endpoints have."""

import email.utils
import socket
import time
from collections.abc import Iterator

import pytest

from alerts.chat_endpoint import ATTEMPTS, ChatEndpoint, EndpointError
from tests.alerts.chat_server import Answer, ChatServer, chat_server, says

KEY = "sk-not-to-be-shown"
QUESTION = [{"role": "user", "content": "What do these have in common?"}]


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


class Waits(list[float]):
    """Stands in for sleeping."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def endpoint(server: ChatServer, waits: Waits | None = None, timeout: float = 5.0) -> ChatEndpoint:
    return ChatEndpoint(
        server.url,
        "some-model",
        KEY,
        timeout,
        {"temperature": 0},
        Waits() if waits is None else waits,
    )


def failure(server: ChatServer, waits: Waits | None = None, timeout: float = 5.0) -> str:
    with pytest.raises(EndpointError) as caught:
        endpoint(server, waits, timeout).ask(QUESTION)
    assert KEY not in str(caught.value)
    return str(caught.value)


def test_the_question_is_sent_as_it_is_and_nothing_else(server: ChatServer) -> None:
    server.replies(says("They end with a moral."))
    assert endpoint(server).ask(QUESTION) == "They end with a moral."
    (request,) = server.requests
    assert request == {
        "path": "/v1/chat/completions",
        "model": "some-model",
        "messages": QUESTION,
        "temperature": 0,
    }
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_a_limit_on_the_rate_is_respected(server: ChatServer) -> None:
    waits = Waits()
    server.replies(Answer(429, b"slow down", {"Retry-After": "7"}), says("yes"))
    assert endpoint(server, waits).ask(QUESTION) == "yes"
    assert waits == [7.0] and len(server.requests) == 2


def test_a_date_to_come_back_at_is_understood(server: ChatServer) -> None:
    waits = Waits()
    at = email.utils.formatdate(time.time() + 12, usegmt=True)
    server.replies(Answer(503, b"", {"Retry-After": at}), says("yes"))
    assert endpoint(server, waits).ask(QUESTION) == "yes"
    assert 5 < waits[0] <= 12


def test_too_long_a_wait_is_refused(server: ChatServer) -> None:
    waits = Waits()
    server.replies(Answer(429, b"quota", {"Retry-After": "3600"}))
    assert (
        failure(server, waits) == "the endpoint answered with 429 quota, and it asks to wait 3600 s"
    )
    assert waits == [] and len(server.requests) == 1


def test_errors_of_the_server_are_tried_again_a_few_times(server: ChatServer) -> None:
    waits = Waits()
    server.replies(Answer(500, b"oops", {"Retry-After": "soon"}))
    assert failure(server, waits) == f"the endpoint answered with 500 oops ({ATTEMPTS} attempts)"
    assert waits == [1.0, 2.0] and len(server.requests) == ATTEMPTS


def test_a_refused_request_is_not_repeated_and_the_key_not_shown(server: ChatServer) -> None:
    server.replies(Answer(401, f"wrong key {KEY}\x1b[31m{'x' * 5000}".encode()))
    reason = failure(server)
    assert reason.startswith("the endpoint answered with 401 wrong key [key]")
    assert "\x1b" not in reason and len(reason) < 250
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer", [Answer(body=b"{}", delay=0.5), Answer(body=b"x" * 9, delay=0.1, slow=True)]
)
def test_slow_replies_end(server: ChatServer, answer: Answer) -> None:
    server.replies(answer)
    assert failure(server, timeout=0.2) == (
        f"the endpoint did not answer within 0.2 s ({ATTEMPTS} attempts)"
    )


def test_a_huge_reply_is_not_read_to_its_end(server: ChatServer) -> None:
    server.replies(Answer(body=b" " * 3_000_000))
    assert failure(server) == "the reply is larger than 1,000,000 bytes"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Bad gateway</html>",
        b'{"choices": [{"message": {"cont',
        b'{"choices": []}',
        b"[]",
        b"[" * 100_000,
        b"\xff\xfe",
        b"",
    ],
)
def test_what_is_no_completion_is_named(server: ChatServer, body: bytes) -> None:
    server.replies(Answer(body=body))
    assert failure(server) == "the reply is no chat completion"


@pytest.mark.parametrize("text", [None, " "])
def test_a_reply_without_text_is_named(server: ChatServer, text: str | None) -> None:
    server.replies(says(text))
    assert failure(server) == "the reply holds no text"


def test_a_connection_that_breaks_off_is_tried_again(server: ChatServer) -> None:
    server.replies(Answer(body=b"{", headers={"Content-Length": "99"}), says("yes"))
    assert endpoint(server).ask(QUESTION) == "yes"


def test_redirects_are_not_followed(server: ChatServer) -> None:
    server.replies(Answer(307, b"", {"Location": "http://127.0.0.1:1/elsewhere"}))
    assert failure(server) == "the endpoint answered with 307"


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nobody = ChatEndpoint(f"http://127.0.0.1:{port}", "m", None, 1.0, {}, Waits())
    with pytest.raises(EndpointError, match=r"no connection \(ConnectError\)"):
        nobody.ask(QUESTION)
