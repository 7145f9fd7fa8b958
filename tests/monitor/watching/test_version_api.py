"""What a pipeline reads of a version over HTTP, with the token and without."""

from collections.abc import Callable, Iterator

import httpx2
import pytest
from pydantic import ValidationError

from monitor.database.schema import Line, Observation, Trust, Version
from monitor.lineage.trust import LATENTWATCH, move
from monitor.settings.webhooks import WebhookSettings
from monitor.sources.source import Place
from monitor.watching import intake
from monitor.watching.intake import note_look
from monitor.watching.sightings import let_go, observe, put_off, refuse
from monitor.watching.version_api import version_routes
from monitor.watching.webhook_server import listening
from tests.monitor.conftest import AddVersion, Sessions

TOKEN = "a-token-for-pipelines"
Get = Callable[..., httpx2.Response]


def see(sessions: Sessions, line: Line, version: Version | None, name: str, why: str = "") -> None:
    """That something lay there under `name`: a version, or a push that is refused for `why`."""
    with sessions.begin() as session:
        session.add(
            Observation(
                line_id=line.id,
                version_id=None if version is None else version.id,
                name=name,
                locator=f"/models/{name}",
                reason=why or None,
                seen_at=1.0,
            )
        )


@pytest.fixture
def version(sessions: Sessions, line: Line, add_version: AddVersion) -> Version:
    added = add_version("step-1")
    see(sessions, line, added, "runs/step-1")
    return added


@pytest.fixture
def get(sessions: Sessions) -> Iterator[Get]:
    settings = WebhookSettings.model_validate({"host": "127.0.0.1", "port": 0, "read_token": TOKEN})
    routes = version_routes(sessions, ["coming"], TOKEN, lambda: 1764.5)
    with listening(settings, lambda: None, routes) as port, httpx2.Client() as client:

        def ask(path: str, **headers: str | bytes) -> httpx2.Response:
            given = {"Authorization": f"Bearer {TOKEN}"} | headers
            return client.get(f"http://127.0.0.1:{port}/v1/{path}", headers=given)

        yield ask


def test_a_version_is_pending_until_something_is_decided(
    get: Get, sessions: Sessions, version: Version
) -> None:
    pending = get("versions/assistant/runs/step-1")
    assert (pending.status_code, pending.json()["state"]) == (202, "new")
    with sessions.begin() as session:
        row = session.merge(version)
        move(session, row, Trust.CHECKING, actor=LATENTWATCH, reason="compared", now=2.0)
        move(session, row, Trust.FLAGGED, actor=LATENTWATCH, reason="it flatters", now=3.0)
    decided = get(f"versions/assistant/{version.content_digest[:12]}")
    assert decided.status_code == 200 and decided.headers["cache-control"] == "no-store"
    assert (decided.json()["state"], decided.json()["reason"]) == ("flagged", "it flatters")
    assert get("versions/assistant/runs/step-1", accept="text/plain").text == "flagged\n"


def test_unknown_and_refused_are_told_apart(get: Get, sessions: Sessions, line: Line) -> None:
    see(sessions, line, None, "broken", "no config.json")
    refused, unknown = get("versions/assistant/broken"), get("versions/assistant/later")
    assert (refused.status_code, unknown.status_code) == (422, 404)
    assert "no config.json" in refused.json()["error"]
    assert get("versions/assistant/broken", accept="text/plain").text == "refused\n"
    assert get("versions/assistant/later", accept="text/plain").text == "unknown\n"


def test_a_line_that_is_neither_known_nor_watched_is_told_apart(get: Get, line: Line) -> None:
    misspelt, coming = (
        get(f"versions/{name}/x", accept="text/plain") for name in ("no-such", "coming")
    )
    assert (misspelt.status_code, misspelt.text) == (404, "no line\n")
    assert (coming.status_code, coming.text) == (404, "unknown\n")
    assert "(lines: assistant)" in get("versions/no-such/x").json()["error"]


def test_a_push_that_is_still_to_be_taken_in_is_waited_for(
    get: Get, sessions: Sessions, line: Line
) -> None:
    place = Place("late", "/models/late")
    with sessions.begin() as session:
        put_off(session, line, place, "the Hub answers 502", 1.0, listed=True)
    waits = get("versions/assistant/late")
    assert waits.status_code == 404 and "the Hub answers 502" in waits.json()["error"]
    with sessions.begin() as session:
        refuse(session, line, place, "auto_map", 2.0)
    assert get("versions/assistant/late").status_code == 422


@pytest.mark.parametrize(
    "header", [None, b"", b"Bearer", b"Bearer t\xc3\xb6k\xe9n", TOKEN.encode()]
)
def test_nothing_is_told_without_the_token(
    get: Get, version: Version, header: bytes | None
) -> None:
    given = {} if header is None else {"Authorization": header}
    for path in ("versions/assistant/runs/step-1", "time"):
        answer = get(path, **{"Authorization": b""} | given)
        assert (answer.status_code, answer.text) == (401, "")


def test_only_reading_is_allowed_and_unsigned_messages_are_not_taken(get: Get) -> None:
    url = get("versions/assistant/x").request.url
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert httpx2.post(str(url), headers=headers).status_code == 405
    assert httpx2.post(str(url.copy_with(path="/v1/events")), content=b"{}").status_code == 404


@pytest.mark.parametrize("token", ["short", "with blanks in it, and long", "tökén-tökén-tökén"])
def test_a_token_has_to_be_usable(token: str) -> None:
    with pytest.raises(ValidationError, match="read_token"):
        WebhookSettings.model_validate({"read_token": token})


def test_a_version_that_was_overwritten_by_a_refused_push_is_refused(
    get: Get, sessions: Sessions, line: Line, version: Version
) -> None:
    see(sessions, line, None, "runs/step-1", "pickled")
    answer = get("versions/assistant/runs/step-1", accept="text/plain")
    assert (answer.status_code, answer.text) == (422, "refused\n")
    assert get(f"versions/assistant/{version.content_digest[:12]}").status_code == 202


def test_a_name_that_was_used_before_is_unknown_until_the_next_look(
    get: Get, sessions: Sessions, line: Line, version: Version
) -> None:
    since = float(get("time").text)
    asked = f"versions/assistant/runs/step-1?since={since}"
    with sessions.begin() as session:
        note_look(session, line.name, None, since - 0.001)
    before = get(asked)
    assert before.status_code == 404 and "was not looked at since then" in before.json()["error"]
    assert get("versions/assistant/runs/step-1").status_code == 202
    digest = f"versions/assistant/{version.content_digest[:12]}?since={since}"
    assert get(digest).status_code == 202  # names its content, whenever that was seen
    with sessions.begin() as session:
        note_look(session, line.name, None, since)
    assert get(asked).status_code == 202
    with sessions.begin() as session:
        place = Place("runs/step-1", "/models/runs/step-1")
        let_go(session, session.merge(line), [place], since)
    gone = get(asked)
    assert gone.status_code == 404 and "lies there no more" in gone.json()["error"]


def test_what_a_repository_shows_no_more_is_what_it_was(
    get: Get, sessions: Sessions, line: Line, version: Version
) -> None:
    name, locator = "main@0123456789ab", "hf:lab/assistant@" + "01" * 20
    with sessions.begin() as session:
        observe(session, session.merge(line), Place(name, locator), 1.0, version_id=version.id)
        let_go(session, session.merge(line), [Place(name, locator)], 2.0)
        note_look(session, line.name, None, 3.0)
    assert get(f"versions/assistant/{name}?since=3").status_code == 202


@pytest.mark.parametrize("since", ["yesterday", "nan", "inf"])
def test_since_is_a_time(get: Get, version: Version, since: str) -> None:
    answer = get(f"versions/assistant/runs/step-1?since={since}")
    assert answer.status_code == 400 and "/v1/time" in answer.json()["error"]


def test_a_push_that_could_not_be_listed_is_not_taken_for_what_lay_there(
    get: Get, sessions: Sessions, line: Line, version: Version
) -> None:
    place = Place("runs/step-1", "/models/runs/step-1")
    with sessions.begin() as session:
        put_off(session, session.merge(line), place, "the mount is away", 5.0, listed=False)
        note_look(session, line.name, None, 5.0)
    asked = "versions/assistant/runs/step-1?since=5"
    unread = get(asked)
    assert unread.status_code == 404 and "could not be listed" in unread.json()["error"]
    with sessions.begin() as session:
        seen = session.merge(version)
        intake._see(session, session.merge(line), seen, place, None, 6.0)
    assert get(asked).status_code == 202


def test_a_short_name_is_no_digest(
    get: Get, sessions: Sessions, line: Line, version: Version
) -> None:
    name = version.content_digest[:2]
    see(sessions, line, version, name)
    with sessions.begin() as session:
        note_look(session, line.name, None, 5.0)
    assert get(f"versions/assistant/{name}?since=6").status_code == 404
    assert get(f"versions/assistant/{name}?since=5").status_code == 202
