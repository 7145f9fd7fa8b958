"""What the Hugging Face Hub knows of a repository, over its HTTP interface.

Not through huggingface_hub: a process that loads checkpoints keeps that library offline, and it
waits out rate limits by sleeping while the other lines wait too. Here a request is made once, and
the next look at the line is the next try.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import httpx2

from monitor.errors import GoneError, SourceError
from monitor.settings.sources import HubSettings
from monitor.sources.remote_file import MAX_FILES, RemoteFile

MAX_PAGES = 1000
MAX_WAIT_SECONDS = 600.0
"""How long at most a Hub that says it is overrun is left alone."""
_REMEDIES = {
    401: "set LATENTWATCH_HUB__TOKEN to a token that may read it",
    403: "ask for access, or set LATENTWATCH_HUB__TOKEN to a token that may read it",
    404: "correct `hub.repo`, or, as private repositories look absent, set LATENTWATCH_HUB__TOKEN",
    410: "it was taken down",
}


class Ref(NamedTuple):
    """A branch, tag or pull request, and the commit that it names now."""

    name: str
    """`main`, `v1.0`, `refs/pr/3`."""
    commit: str
    is_tag: bool


class Commit(NamedTuple):
    """One commit of a branch."""

    sha: str
    date: float
    """In seconds since the epoch."""


class HubClient:
    """Requests about one repository. All methods raise SourceError when the Hub gives no answer,
    GoneError when it says that there is no such thing."""

    def __init__(
        self, repo: str, settings: HubSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._endpoint = settings.address
        self._repo = repo
        token = settings.bearer
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # Follows to where large files lie; the token stays with the Hub's own host.
        self._client = httpx2.Client(timeout=settings.timeout_seconds, follow_redirects=True)
        self._clock = clock
        self._wait = self._not_before = 0.0

    def refs(self) -> list[Ref]:
        """Branches, tags and pull requests with their commits."""
        found = self._json(f"{self._api}/refs", include_prs="1")
        with self._understood():
            branches = [Ref(r["name"], _sha(r["targetCommit"]), False) for r in found["branches"]]
            tags = [Ref(r["name"], _sha(r["targetCommit"]), True) for r in found["tags"]]
            requests = [
                Ref(r["ref"], _sha(r["targetCommit"]), False)
                for r in found.get("pullRequests") or ()
            ]
        return branches + tags + requests

    def commits(self, sha: str, per_page: int) -> Iterator[Commit]:
        """The commits up to `sha`, the newest first; a request for every `per_page` of them."""
        url: str | None = f"{self._api}/commits/{sha}?limit={per_page}"
        while url is not None:
            with self._answer(url) as answer:
                answer.read()
                url = _next_page(answer)
            with self._understood():
                found = [
                    Commit(_sha(c["id"]), datetime.fromisoformat(c["date"]).timestamp())
                    for c in answer.json()
                ]
            yield from found

    def files(self, sha: str) -> list[RemoteFile]:
        """All files of the commit `sha`."""
        files: list[RemoteFile] = []
        url: str | None = f"{self._api}/tree/{sha}?recursive=true"
        for _ in range(MAX_PAGES):
            if url is None or len(files) > MAX_FILES:
                break
            with self._answer(url) as answer:
                answer.read()
                url = _next_page(answer)
            with self._understood():
                files += [_file(e) for e in answer.json() if e["type"] != "directory"]
        return files

    def read(self, sha: str, file: RemoteFile, offset: int) -> Iterator[bytes]:
        """The bytes of a file of the commit `sha` from `offset` on."""
        url = f"{self._endpoint}/{self._repo}/resolve/{sha}/{quote(file.path)}"
        # Compressed on the way, an offset would mean something else.
        headers = {"Range": f"bytes={offset}-", "Accept-Encoding": "identity"}
        with self._answer(url, headers) as answer:
            skip = 0 if answer.status_code == 206 else offset
            for chunk in answer.iter_raw():
                yield chunk[skip:]
                skip = max(skip - len(chunk), 0)

    @property
    def _api(self) -> str:
        return f"{self._endpoint}/api/models/{self._repo}"

    def _json(self, url: str, **query: str) -> Any:
        with self._answer(url, query=query) as answer:
            answer.read()
        with self._understood():
            return answer.json()

    @contextmanager
    def _answer(
        self, url: str, headers: dict[str, str] | None = None, query: dict[str, str] | None = None
    ) -> Iterator[httpx2.Response]:
        if self._clock() < self._not_before:
            raise SourceError(f"{self._where}: it asked to be left alone for {self._wait:.0f} s")
        try:
            with self._client.stream(
                "GET", url, headers={**self._headers, **(headers or {})}, params=query or None
            ) as answer:
                self._refuse_failure(answer)
                yield answer
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            problem = str(error) or type(error).__name__
            raise SourceError(f"{self._where}: can't be reached ({problem})") from error

    def _refuse_failure(self, answer: httpx2.Response) -> None:
        status = answer.status_code
        if status < 400:
            return
        if status in (429, 503):
            self._wait = _retry_after(answer)
            self._not_before = self._clock() + self._wait
        remedy = _REMEDIES.get(status, "the next look tries again")
        kind = GoneError if status in (404, 410) else SourceError
        raise kind(f"{self._where}: answers {status} {answer.reason_phrase}; {remedy}")

    @contextmanager
    def _understood(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SourceError(
                f"{self._where}: gives an answer that is none of the Hub's "
                f"({type(error).__name__}: {error}); check hub.endpoint"
            ) from error

    @property
    def _where(self) -> str:
        return f"{self._endpoint}/{self._repo}"


def _file(entry: dict[str, Any]) -> RemoteFile:
    lfs = entry.get("lfs")
    digest = f"sha256:{lfs['oid']}" if lfs else f"git:{entry['oid']}"
    return RemoteFile(str(entry["path"]), int(entry["size"]), digest)


def _sha(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 40 or set(value) - set("0123456789abcdef"):
        raise ValueError(f"{value!r:.60} is no commit")
    return value


def _next_page(answer: httpx2.Response) -> str | None:
    found = answer.links.get("next", {}).get("url")
    if found is None:
        return None
    url = urljoin(str(answer.url), found)
    if urlsplit(url)[:2] != urlsplit(str(answer.url))[:2]:
        raise SourceError(f"{answer.url}: sends on to another host for its next page")
    return url


def _retry_after(answer: httpx2.Response) -> float:
    """Seconds for which to leave the Hub alone, by `Retry-After` or `RateLimit: ...;t=SECONDS`."""
    stated = answer.headers.get("retry-after", "")
    _, _, reset = answer.headers.get("ratelimit", "").rpartition("t=")
    for text in (stated, reset):
        if text.strip().isdigit():
            return min(float(text), MAX_WAIT_SECONDS)
    return 0.0
