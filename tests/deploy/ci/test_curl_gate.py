"""The gate that needs nothing but curl, against a real server on a real database."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.database import open_database
from monitor.lineage import LATENTWATCH, move
from monitor.schema import Line, Trust
from monitor.version_api import version_route
from monitor.webhook_server import listening
from monitor.webhook_settings import WebhookSettings
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
    with listening(settings, lambda: None, [version_route(sessions, TOKEN)]) as port:
        yield f"http://127.0.0.1:{port}"


def gate(directory: Path, url: str, version: str, token: str = TOKEN) -> tuple[int, str]:
    """Its exit code and what it said; versions are named by their digests."""
    program("curl", "curl")
    known = {"LATENTWATCH_URL": url, "LATENTWATCH_READ_TOKEN": token}
    done = subprocess.run(
        [GATE, "chat", version, "0"],
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


def test_neither_a_wrong_token_nor_a_server_that_is_away_is_a_pass(
    tmp_path: Path, url: str
) -> None:
    assert gate(tmp_path, url, digest("passed"), "another-token-of-that-length")[0] == 2
    code, said = gate(tmp_path, "http://127.0.0.1:1", digest("passed"))
    assert code == 3 and "unreachable" in said
