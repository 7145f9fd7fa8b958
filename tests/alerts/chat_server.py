"""A real HTTP server that speaks the chat completions protocol, with the faults that such ones
have."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """What the server sends."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})
    delay: float = 0.0
    """Seconds before the answer, and in a slow one before each byte."""
    slow: bool = False


def says(text: str | None) -> Answer:
    """A chat completion with this text."""
    return Answer(body=json.dumps({"choices": [{"message": {"content": text}}]}).encode())


class ChatServer:
    """Answers by `reply`, which gets the request's JSON; keeps all requests and their headers."""

    def __init__(self, reply: Callable[[dict[str, Any]], Answer]) -> None:
        self.reply = reply
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    def replies(self, *answers: Answer) -> None:
        """Answer with these in turn, with the last one from then on."""
        left = list(answers)
        self.reply = lambda _: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """A server on a free port of this machine."""
    state = ChatServer(lambda _: says("{}"))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.requests.append(json.loads(body) | {"path": self.path})
            state.headers.append({k.lower(): v for k, v in self.headers.items()})
            answer = state.reply(state.requests[-1])
            time.sleep(answer.delay)
            with suppress(OSError):  # the client may have gone
                self._send(answer)

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            length = {"Content-Length": str(len(answer.body))}
            for name, value in {**length, **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            for n in range(len(answer.body)) if answer.slow else ():
                self.wfile.write(answer.body[n : n + 1])
                self.wfile.flush()
                time.sleep(answer.delay)
            if not answer.slow:
                self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
