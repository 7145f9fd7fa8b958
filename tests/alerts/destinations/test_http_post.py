"""A request that fails is told without what the URL may hide."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from alerts.channel import RefusedError, UnclearError
from alerts.destinations.http_post import post
from tests.services import free_port


def test_who_does_not_answer_is_named_and_the_path_is_not() -> None:
    with pytest.raises(UnclearError, match=r"no answer from 127\.0\.0\.1") as caught:
        post(f"http://127.0.0.1:{free_port()}/hooks/s3cret", b"{}", {}, 5.0, 0.0)
    assert "s3cret" not in str(caught.value)


class _Unknown(BaseHTTPRequestHandler):
    """Says, as many servers do, what it was asked for."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(404)
        self.end_headers()
        self.wfile.write(f"Cannot POST {self.path}".encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize("path", ["/hooks/s3cret/", "/hooks?sig=s3cret", "/hooks/s3cret%20"])
def test_a_refusal_that_repeats_the_path_is_told_without_it(path: str) -> None:
    with HTTPServer(("127.0.0.1", 0), _Unknown) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(RefusedError, match=r"answered 404 Cannot POST \[hidden\]") as caught:
            post(f"http://127.0.0.1:{server.server_port}{path}", b"{}", {}, 5.0, 0.0)
    assert "s3cret" not in str(caught.value)
