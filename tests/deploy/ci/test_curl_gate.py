"""The gate that needs nothing but curl, against a real server on a real database."""

import hashlib
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from sqlalchemy import select

from monitor.database.opening import open_database
from monitor.database.schema import Line, Trust, Version
from monitor.lineage.trust import LATENTWATCH, move
from monitor.settings.environment import ENV_PREFIX
from monitor.settings.webhooks import WebhookSettings
from monitor.sources.source import Place
from monitor.watching.intake import note_look
from monitor.watching.sightings import observe
from monitor.watching.version_api import version_routes
from monitor.watching.webhook_server import listening
from tests.monitor.filled import new_version
from tests.services import program

GATE = Path("deploy/ci/curl_gate.sh").resolve()
TOKEN = "a-token-for-pipelines"
WAYS = {
    "passed": (Trust.CHECKING, Trust.PASSED),
    "flagged": (Trust.CHECKING, Trust.FLAGGED),
    "undecided": (Trust.CHECKING, Trust.UNDECIDED),
    "skipped": (Trust.SUPERSEDED,),
    "waiting": (),
}


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    sessions = open_database(f"sqlite:///{tmp_path}/latentwatch.db")
    with sessions.begin() as session:
        line = Line(name="chat", created_at=0.0)
        session.add(line)
    versions = {name: new_version(sessions, line, name) for name in WAYS}
    with sessions.begin() as session:
        for name, states in WAYS.items():
            row = session.merge(versions[name])
            for state in states:
                move(session, row, state, actor=LATENTWATCH, reason="because", now=1.0)
    settings = WebhookSettings.model_validate({"host": "127.0.0.1", "port": 0, "read_token": TOKEN})
    with listening(settings, lambda: None, version_routes(sessions, ["coming"], TOKEN)) as port:
        yield f"http://127.0.0.1:{port}"


def gate(
    directory: Path,
    url: str,
    version: str,
    token: str = TOKEN,
    minutes: str = "0",
    line: str = "chat",
) -> tuple[int, str]:
    """Its exit code and what it said; versions are named by their digests."""
    program("curl", "curl")
    known = {"GATE_URL": url, "GATE_TOKEN": token}
    known["GATE_POLL_SECONDS"] = "0.1"
    done = subprocess.run(
        [GATE, line, version, minutes],
        cwd=directory,
        env=os.environ | known,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.mark.parametrize(
    "name, code", [("passed", 0), ("flagged", 1), ("undecided", 3), ("skipped", 4)]
)
def test_its_exit_code_is_that_of_a_check(tmp_path: Path, url: str, name: str, code: int) -> None:
    assert gate(tmp_path, url, digest(name))[0] == code
    assert '"reason": "because"' in (tmp_path / "latentwatch.json").read_text()


@pytest.mark.parametrize("name", ["waiting", "never pushed"])
def test_what_is_not_decided_in_time_has_not_passed(tmp_path: Path, url: str, name: str) -> None:
    code, said = gate(tmp_path, url, digest(name))
    assert code == 3 and "not decided in time" in said


def test_a_line_that_does_not_exist_ends_it_at_once_with_the_reason(
    tmp_path: Path, url: str
) -> None:
    code, said = gate(tmp_path, url, digest("passed"), minutes="1", line="caht")
    assert code == 2 and "there is no line 'caht' in the database (lines: chat)" in said


def test_a_line_that_was_not_looked_at_yet_is_waited_for(tmp_path: Path, url: str) -> None:
    code, said = gate(tmp_path, url, digest("passed"), line="coming")
    assert code == 3 and "not decided in time" in said


def test_what_lay_under_the_name_before_is_no_answer(tmp_path: Path, url: str) -> None:
    sessions = open_database(f"sqlite:///{tmp_path}/latentwatch.db")
    with sessions.begin() as session:
        [version] = session.scalars(select(Version).filter_by(state=Trust.PASSED))
        line = session.get_one(Line, version.line_id)
        observe(session, line, Place("step-1", "/models/step-1"), 1.0, version_id=version.id)
        note_look(session, "chat", None, time.time())
    code, said = gate(tmp_path, url, "step-1")
    assert code == 3 and "was not looked at since then" in said
    with sessions.begin() as session:
        note_look(session, "chat", None, time.time() + 60.0)
    assert gate(tmp_path, url, "step-1")[0] == 0


def test_slashes_at_the_end_of_the_address_change_nothing(tmp_path: Path, url: str) -> None:
    assert gate(tmp_path, f"{url}//", digest("passed"))[0] == 0


def test_the_answer_of_an_earlier_run_does_not_outlive_one_that_fails(
    tmp_path: Path, url: str
) -> None:
    assert gate(tmp_path, url, digest("passed"))[0] == 0
    assert (tmp_path / "latentwatch.json").exists()
    assert gate(tmp_path, url, digest("waiting"))[0] == 3
    assert not (tmp_path / "latentwatch.json").exists()
    with answering([(200, "<html>Sign in")]) as (elsewhere, _):
        assert gate(tmp_path, elsewhere, digest("passed"))[0] == 2
    assert not (tmp_path / "latentwatch.json").exists()


def test_neither_a_wrong_token_nor_a_server_that_is_away_is_a_pass(
    tmp_path: Path, url: str
) -> None:
    code, said = gate(tmp_path, url, digest("passed"), "another-token-of-that-length")
    assert code == 2 and "is the token right?" in said
    code, said = gate(tmp_path, "http://127.0.0.1:1", digest("passed"))
    assert code == 3 and "unreachable" in said


@contextmanager
def answering(answers: list[tuple[int, str]]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives the answers in turn, the last one again; and the paths it was asked."""
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, text = answers[min(len(asked), len(answers) - 1)]
            asked.append(self.path)
            self.send_response(code)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_it_waits_while_a_proxy_has_nobody_behind_it(tmp_path: Path) -> None:
    away = [(502, "<html>Bad Gateway"), (429, "slower"), (503, "")]
    decided = [(202, "checking\n"), (200, "passed\n")]
    with answering([*away, (200, "5.0\n"), *away, *decided]) as (url, asked):
        code, said = gate(tmp_path, url, "step-1", minutes="1")
    assert code == 0, said
    assert asked[:4] == ["/v1/time"] * 4
    assert [unquote(path) for path in asked[4:]] == ["/v1/versions/chat/step-1?since=5.0"] * 6


def test_no_variable_of_the_scripts_is_taken_for_a_setting() -> None:
    for path in GATE.parent.iterdir():
        assert re.findall(rf"\b{ENV_PREFIX}\w+", path.read_text()) == [], path


def test_a_version_is_asked_for_by_its_whole_name(tmp_path: Path) -> None:
    with answering([(200, "5.0\n"), (200, "passed\n")]) as (url, asked):
        assert gate(tmp_path, url, "step 1#a?é")[0] == 0
    assert unquote(asked[1]) == "/v1/versions/chat/step 1#a?é?since=5.0"


def test_a_time_that_is_none_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE_SINCE", "yesterday")
    code, said = gate(tmp_path, "http://127.0.0.1:1", "step-1")
    assert code == 2 and "GATE_SINCE must be seconds since the epoch, not 'yesterday'" in said


@pytest.mark.parametrize("minutes", ["2h", "-1", "99999"])
def test_minutes_that_are_no_number_are_bad_input(tmp_path: Path, minutes: str) -> None:
    code, said = gate(tmp_path, "http://127.0.0.1:1", "step-1", minutes=minutes)
    assert code == 2 and f"whole number of at most 4 digits, not '{minutes}'" in said
