"""What is known of one version, over HTTP, for pipelines that have nothing but curl."""

import hmac
import json
from collections.abc import Collection, Mapping

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
PENDING = (Trust.NEW, Trust.CHECKING)


def version_route(sessions: sessionmaker[Session], watched: Collection[str], token: str) -> Route:
    """GET of a version by its line and its name or digest prefix, for who has the token.

    200 once something is decided, 202 while it is not, 404 for what the watch has not seen (yet),
    422 for a push that was refused, with the reason, 401 without the token. The body is what
    `latentwatch show --format json` prints; who accepts text/plain alone gets the state as a word:
    `unknown` for what may still be seen, `no line` for a line that is neither known nor `watched`.
    """

    async def answer(request: Request) -> Response:
        if not _is_genuine(request.headers.get("authorization", ""), token):
            return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
        as_word = request.headers.get("accept", "") == "text/plain"
        line, version = request.path_params["line"], request.path_params["version"]
        return await run_in_threadpool(_look_up, sessions, watched, line, version, as_word)

    return Route(PATH, answer, methods=["GET"])


def _look_up(
    sessions: sessionmaker[Session],
    watched: Collection[str],
    line: str,
    version: str,
    as_word: bool,
) -> Response:
    try:
        with sessions() as session:
            found = find_current(session, find_line(session, line), version)
            state, details = found.state, version_details(session, found)
    except RefusedPushError as error:
        return _response(422, "refused", {"error": str(error)}, as_word)
    except UnknownVersionError as error:
        is_no_line = isinstance(error, UnknownLineError) and line not in watched
        word = "no line" if is_no_line else "unknown"
        return _response(404, word, {"error": str(error)}, as_word)
    return _response(202 if state in PENDING else 200, state, details, as_word)


def _response(code: int, word: str, details: Mapping[str, object], as_word: bool) -> Response:
    headers = {"Cache-Control": "no-store"}
    if as_word:
        return PlainTextResponse(f"{word}\n", code, headers)
    body = json.dumps(details, ensure_ascii=False, indent=2)
    return Response(body, code, headers, media_type="application/json")


def _is_genuine(header: str, token: str) -> bool:
    return hmac.compare_digest(header.encode(), f"Bearer {token}".encode())
