"""What is known of one version, over HTTP, for pipelines that have nothing but curl."""

import hmac
import json
import math
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NamedTuple

from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from monitor.database.schema import Trust
from monitor.errors import RefusedPushError, UnknownLineError, UnknownVersionError
from monitor.lineage.lookup import find_current, find_line
from monitor.lineage.overview import version_details

PATH = "/v1/versions/{line}/{version:path}"
CLOCK = "/v1/time"
_FRESH = {"Cache-Control": "no-store"}
PENDING = (Trust.NEW, Trust.CHECKING)


def version_routes(
    sessions: sessionmaker[Session],
    watched: Collection[str],
    token: str,
    clock: Callable[[], float] = time.time,
) -> list[Route]:
    """GET of a version by its line and its name or digest prefix, for who has the token.

    200 once something is decided, 202 while it is not, 404 for what the watch has not seen (yet),
    422 for a push that was refused, with the reason, 401 without the token. The body is what
    `latentwatch show --format json` prints; who accepts text/plain alone gets the state as a word:
    `unknown` for what may still be seen, `no line` for a line that is neither known nor `watched`.

    A name may be used again, and then stands for what was there before until the next look: with
    `?since=T` a name is `unknown` until a look that began at T or later. GET /v1/time tells T, in
    seconds since the epoch by the clock of the looks.
    """

    def answering(answer: Callable[[Request], Awaitable[Response]]) -> Callable[..., object]:
        async def guarded(request: Request) -> Response:
            if not _is_genuine(request.headers.get("authorization", ""), token):
                return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
            return await answer(request)

        return guarded

    async def tell_time(_: Request) -> Response:
        return PlainTextResponse(f"{clock():.3f}\n", headers=_FRESH)

    async def tell_version(request: Request) -> Response:
        asked = _Asked(
            request.path_params["line"],
            request.path_params["version"],
            request.query_params.get("since"),
            request.headers.get("accept", "") == "text/plain",
        )
        return await run_in_threadpool(_look_up, sessions, watched, asked)

    return [Route(CLOCK, answering(tell_time)), Route(PATH, answering(tell_version))]


class _Asked(NamedTuple):
    line: str
    version: str
    since: str | None
    as_word: bool


def _look_up(sessions: sessionmaker[Session], watched: Collection[str], asked: _Asked) -> Response:
    try:
        since = None if asked.since is None else float(asked.since)
        if since is not None and not math.isfinite(since):
            raise ValueError
    except ValueError:
        error = f"since must be seconds since the epoch, as {CLOCK} tells them"
        return _response(400, "bad request", {"error": error}, asked.as_word)
    try:
        with sessions() as session:
            found = find_current(session, find_line(session, asked.line), asked.version, since)
            state, details = found.state, version_details(session, found)
    except RefusedPushError as error:
        return _response(422, "refused", {"error": str(error)}, asked.as_word)
    except UnknownVersionError as error:
        is_no_line = isinstance(error, UnknownLineError) and asked.line not in watched
        word = "no line" if is_no_line else "unknown"
        return _response(404, word, {"error": str(error)}, asked.as_word)
    return _response(202 if state in PENDING else 200, state, details, asked.as_word)


def _response(code: int, word: str, details: Mapping[str, object], as_word: bool) -> Response:
    if as_word:
        return PlainTextResponse(f"{word}\n", code, _FRESH)
    body = json.dumps(details, ensure_ascii=False, indent=2)
    return Response(body, code, _FRESH, media_type="application/json")


def _is_genuine(header: str, token: str) -> bool:
    return hmac.compare_digest(header.encode(), f"Bearer {token}".encode())
