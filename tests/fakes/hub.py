"""A Hugging Face Hub for tests: the part of its HTTP interface that is used, with its faults.

Large files (safetensors) lie on another host, to which the Hub redirects, and are listed with their
SHA-256; small ones lie in git and are listed with git's name of a blob.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_secret"
_PAGE = 3
"""Files per page of a tree, and commits per page, so that every listing has several."""
_PIECE = 64
"""Bytes that are sent at once of a large file, where the Hub is slow."""


@dataclass
class Fault:
    """What happens to the next `times` requests whose path contains `path`."""

    path: str
    status: int = 0
    """Answered instead; 0 answers and cuts the connection after `cut` bytes."""
    cut: int = 0
    times: int = 1
    body: bytes = b"no"
    headers: dict[str, str] = field(default_factory=dict)


class FakeHub:
    """One repository, `acme/chat`. It needs no token unless `private` is set."""

    repo = "acme/chat"

    def __init__(self) -> None:
        self.commits: dict[str, tuple[str | None, float, dict[str, bytes]]] = {}
        """Parent, date and files of each commit."""
        self.branches: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.requested: dict[str, str] = {}
        """Pull requests by their numbers."""
        self.private = False
        self.gone = False
        self.faults: list[Fault] = []
        self.pause = 0.0
        """Seconds between two pieces of a large file."""
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """Host, path and headers of each request."""
        self.url = self.cdn = ""

    def push(
        self,
        files: Path | dict[str, bytes],
        date: float,
        branch: str = "main",
        parent: str | None = None,
    ) -> str:
        """The commit that adds `files` to the branch, or to `parent` where the branch is moved."""
        if isinstance(files, Path):
            found = [path for path in files.rglob("*") if path.is_file()]
            files = {str(path.relative_to(files)): path.read_bytes() for path in found}
        parent = parent or self.branches.get(branch)
        before = self.commits[parent][2] if parent else {}
        content = repr((parent, date, sorted(files.items()))).encode()
        sha = hashlib.sha1(content).hexdigest()
        self.commits[sha] = (parent, date, {**before, **files})
        self.branches[branch] = sha
        return sha

    def downloads(self, name: str = "") -> list[str]:
        """Paths of the requests for contents of files whose name contains `name`."""
        return [p for _, p, _ in self.requests if p.startswith("/blobs/") and name in p] + [
            p for _, p, _ in self.requests if "/resolve/" in p and name in p and not _is_large(p)
        ]


def _is_large(name: str) -> bool:
    return name.endswith(".safetensors")


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    hub = FakeHub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    port = server.server_address[1]
    hub.url, hub.cdn = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: FakeHub

    def do_GET(self) -> None:
        hub, url = self.state, urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        hub.requests.append((headers["host"].split(":")[0], unquote(url.path), headers))
        fault = next((f for f in hub.faults if f.path in self.path and f.times > 0), None)
        if fault is not None:
            fault.times -= 1
        with suppress(OSError):  # the client may have gone
            if fault is not None and fault.status:
                self._send(fault.status, fault.body, fault.headers)
            else:
                self._answer(unquote(url.path), parse_qs(url.query), fault)

    def _answer(self, path: str, query: dict[str, list[str]], fault: Fault | None) -> None:
        hub = self.state
        parts = path.strip("/").split("/")
        if parts[0] == "blobs":
            content = next(
                files[name]
                for _, _, files in hub.commits.values()
                for name in files
                if hashlib.sha256(files[name]).hexdigest() == parts[1]
            )
            return self._send_content(content, fault)
        if hub.gone or (hub.private and self.headers["Authorization"] != f"Bearer {TOKEN}"):
            return self._send(404 if hub.gone else 401, b"Repository not found")
        match parts:
            case ["api", "models", _, _, "refs"]:
                refs: dict[str, Any] = {"converts": []}
                if "include_prs" in query:
                    refs["pullRequests"] = [_ref("pr", *one) for one in hub.requested.items()]
                refs["branches"] = [_ref("heads", *one) for one in hub.branches.items()]
                refs["tags"] = [_ref("tags", *one) for one in hub.tags.items()]
                self._send_json(refs)
            case ["api", "models", _, _, "commits", sha]:
                history = list(_history(hub, sha))
                end = min(int(query.get("limit", ["50"])[0]), _PAGE)
                more = {}
                if end < len(history):
                    following = f"{hub.url}{path.rpartition('/')[0]}/{history[end]['id']}"
                    more["Link"] = f'<{following}>; rel="next"'
                self._send_json(history[:end], more)
            case ["api", "models", _, _, "tree", sha]:
                entries = [_entry(*file) for file in sorted(hub.commits[sha][2].items())]
                start = int(query.get("cursor", ["0"])[0])
                more = {}
                if start + _PAGE < len(entries):
                    following = f"{hub.url}{path}?recursive=true&cursor={start + _PAGE}"
                    more["Link"] = f'<{following}>; rel="next"'
                self._send_json(entries[start : start + _PAGE], more)
            case [_, _, "resolve", sha, *name]:
                content = hub.commits[sha][2].get("/".join(name))
                if content is None:
                    return self._send(404, b"Entry not found")
                if not _is_large(name[-1]):
                    return self._send_content(content, fault)
                digest = hashlib.sha256(content).hexdigest()
                self._send(302, b"", {"Location": f"{hub.cdn}/blobs/{digest}/{name[-1]}"})
            case _:
                self._send(404, b"no such page")

    def _send_content(self, content: bytes, fault: Fault | None) -> None:
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        part = content[begin:]
        status = 206 if "Range" in self.headers else 200
        headers = {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"}
        if fault is None and self.state.pause and self.path.startswith("/blobs/"):
            self._send(status, b"", headers, length=len(part))
            for start in range(0, len(part), _PIECE):
                time.sleep(self.state.pause)
                self.wfile.write(part[start : start + _PIECE])
            return None
        if fault is None:
            return self._send(status, part, headers)
        self._send(status, part[: fault.cut], headers, length=len(part))
        self.close_connection = True

    def _send_json(self, value: Any, headers: dict[str, str] | None = None) -> None:
        self._send(200, json.dumps(value).encode(), headers)

    def _send(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int = -1
    ) -> None:
        self.send_response(status)
        size = len(body) if length < 0 else length
        for name, value in {"Content-Length": str(size), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _ref(kind: str, name: str, sha: str) -> dict[str, str]:
    return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": sha}


def _history(hub: FakeHub, sha: str | None) -> Iterator[dict[str, Any]]:
    while sha is not None:
        parent, date, _ = hub.commits[sha]
        when = datetime.fromtimestamp(date, UTC).isoformat().replace("+00:00", "Z")
        yield {"id": sha, "title": "push", "message": "", "date": when, "authors": []}
        sha = parent


def _entry(name: str, content: bytes) -> dict[str, Any]:
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry = {"type": "file", "path": name, "size": len(content), "oid": oid}
    if _is_large(name):
        digest = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
    return entry
