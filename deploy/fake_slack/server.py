"""The fake workspace behind real HTTP: the Web API, uploads, Socket Mode, and a page for people."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from deploy.fake_slack.faults import Fault
from deploy.fake_slack.interactions import Interactions, NotAnsweredError
from deploy.fake_slack.limits import NotTakenError
from deploy.fake_slack.methods import METHODS, NEEDED_SCOPES
from deploy.fake_slack.page import ASSETS, asset, content, page
from deploy.fake_slack.websocket import WebSocket, accept_key
from deploy.fake_slack.workspace import APP_TOKEN, BOT_TOKEN, Workspace

LARGEST_BODY = 20_000_000
OWN_HOSTS = ("127.0.0.1", "localhost")
"""Names of this machine under which people see the page: another name may be a site's that has it
point here."""


class FakeSlack(NamedTuple):
    """A running fake."""

    workspace: Workspace
    interactions: Interactions
    url: str
    """Of the page, without a slash at its end."""

    @property
    def api_url(self) -> str:
        """Base of the Web API, as slack-sdk takes it."""
        return f"{self.url}/api/"


@contextmanager
def fake_slack(
    workspace: Workspace | None = None, port: int = 0, host: str = "127.0.0.1"
) -> Iterator[FakeSlack]:
    """Serve on this machine only unless another host is named, on a free port unless one is, while
    the block runs."""
    workspace = workspace or Workspace()
    interactions = Interactions(workspace)
    server = _Server((host, port), _Handler)
    server.workspace, server.interactions = workspace, interactions
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield FakeSlack(workspace, interactions, f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        interactions.drop_connections()
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    workspace: Workspace
    interactions: Interactions


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, query = self._target()
        workspace, parts = self.server.workspace, path.strip("/").split("/")
        user = query.get("as", next(iter(workspace.users)))
        if parts[0] == "socket" and "Sec-WebSocket-Key" in self.headers:
            self._upgrade(parts[-1])
        elif not self._is_own_host():
            self._send(403, b"open this page as http://127.0.0.1")
        elif path in ASSETS:
            self._send(200, asset(path), ASSETS[path])
        elif path == "/":
            self._send(
                302, b"", headers={"Location": f"/channels/{next(iter(workspace.channels))}"}
            )
        elif parts[0] == "files" and "content" in workspace.files.get(parts[-1], {}):
            self._send(200, workspace.files[parts[-1]]["content"], "image/png")
        elif parts[0] == "channels" and parts[1:2] and parts[1] in workspace.channels:
            show = content if parts[2:] == ["content"] else page
            thread = query.get("thread") or None
            if user in workspace.users:
                text = show(workspace, parts[1], user, thread)
                self._send(200, text.encode(), "text/html; charset=utf-8")
            else:
                self._send(404)
        else:
            self._send(404)

    def do_POST(self) -> None:
        path, _ = self._target()
        length = int(self.headers.get("Content-Length", 0))
        if length > LARGEST_BODY:
            return self._send(413)
        body = self.rfile.read(length)
        area, _, name = path.strip("/").partition("/")
        if area == "api":
            return self._call(name, body)
        if area == "upload" and name in self.server.workspace.files:
            self.server.workspace.files[name]["content"] = body
            return self._send(200, b"OK")
        if area == "act":
            return self._act(name, body)
        return self._send(404)

    def _call(self, method: str, body: bytes) -> None:
        workspace = self.server.workspace
        fault = workspace.faults.take(method)
        with workspace.lock:
            workspace.calls.append(method)
            try:
                answer = self._answer(method, _arguments(self.headers, body), fault)
            except NotTakenError as error:
                told = {"messages": list(error.messages)}
                answer = {
                    "ok": False,
                    "error": error.error,
                    "response_metadata": told,
                    **error.more,
                }
        if fault is not None and fault.kind == "slow":
            time.sleep(fault.seconds)
        if fault is not None and fault.kind == "lost":
            self.close_connection = True
            return self.connection.shutdown(SHUT_RDWR)
        status = 200
        headers = {"X-OAuth-Scopes": ",".join(workspace.scopes)}
        if answer.get("error") == "ratelimited":
            status, headers["Retry-After"] = 429, str(answer.pop("seconds"))
        if fault is not None and fault.kind == "broken":
            return self._send(500, b"upstream connect error", "text/plain")
        return self._send(status, json.dumps(answer).encode(), "application/json", headers)

    def _answer(
        self, method: str, arguments: dict[str, Any], fault: Fault | None
    ) -> dict[str, Any]:
        workspace = self.server.workspace
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        expected = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
        if method not in METHODS:
            raise NotTakenError("unknown_method")
        if token != expected:
            raise NotTakenError("invalid_auth")
        scope = NEEDED_SCOPES.get(method)
        if scope is not None and scope not in workspace.scopes:
            provided = ",".join(workspace.scopes)
            raise NotTakenError("missing_scope", needed=scope, provided=provided)
        if fault is not None and fault.kind == "limited":
            raise NotTakenError("ratelimited", seconds=int(fault.seconds))
        if fault is not None and fault.kind == "refused":
            raise NotTakenError(fault.error)
        if fault is not None and fault.kind == "broken":
            return {}
        channel = str(arguments.get("channel") or arguments.get("channel_id") or "")
        wait = workspace.rates.wait(method, channel, workspace.clock())
        if wait:
            raise NotTakenError("ratelimited", seconds=wait)
        host = self.headers.get("Host", "")
        return {"ok": True, **METHODS[method](workspace, arguments, host)}

    def _act(self, name: str, body: bytes) -> None:
        """What a person does on the page; other sites may not do it for them."""
        own = f"http://{self.headers.get('Host')}"
        if not self._is_own_host() or self.headers.get("Origin") != own:
            return self._send(403, b'{"error": "another site asked for this"}')
        given, interactions = json.loads(body), self.server.interactions
        status, answer = 200, dict[str, Any]()
        try:
            if name == "click":
                where = (given["user"], given["channel"], given["ts"], given["action_id"])
                interactions.click(*where, given.get("option"))
            elif name == "submit":
                answer["errors"] = interactions.submit(given["user"], given["values"])
            elif name == "close":
                with self.server.workspace.lock:
                    self.server.workspace.views.pop(given["user"], None)
        except (KeyError, ValueError):
            status, answer = 400, {"error": "The message has changed; look at it again."}
        except NotAnsweredError as error:
            status, answer = 504, {"error": str(error)}
        self._send(status, json.dumps(answer).encode(), "application/json")

    def _is_own_host(self) -> bool:
        return self.headers.get("Host", "").rpartition(":")[0] in OWN_HOSTS

    def _upgrade(self, ticket: str) -> None:
        """Open the connection that `ticket` was given for, once, to an app and to no browser."""
        with self.server.workspace.lock:
            tickets = self.server.workspace.tickets
            if "Origin" in self.headers or ticket not in tickets:
                return self._send(403)
            tickets.remove(ticket)
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        key = str(self.headers["Sec-WebSocket-Key"])
        self.send_header("Sec-WebSocket-Accept", accept_key(key))
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):  # the app may go without saying so
            self.server.interactions.serve(WebSocket(self.rfile, self.wfile))

    def _target(self) -> tuple[str, dict[str, str]]:
        target = urlsplit(self.path)
        return target.path, {name: values[0] for name, values in parse_qs(target.query).items()}

    def _send(
        self,
        status: int,
        body: bytes = b"",
        kind: str = "text/plain",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response_only(status)
        date = formatdate(self.server.workspace.clock(), usegmt=True)
        always = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Date": date,
            "X-Frame-Options": "DENY",
        }
        for name, value in {**always, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _arguments(headers: Any, body: bytes) -> dict[str, Any]:
    """The arguments of a call, which Slack takes as JSON or as a form with JSON in it."""
    if headers.get("Content-Type", "").startswith("application/json"):
        return {
            name: value for name, value in json.loads(body or b"{}").items() if value is not None
        }
    form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    return {
        name: json.loads(value) if name in ("files", "view", "blocks", "metadata") else value
        for name, value in form.items()
    }
