"""A process that has died or hangs is told by what it no longer writes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from monitor.cli import app
from monitor.database.schema import Line
from monitor.jobs import leases
from monitor.jobs.health import Process, what_ails
from monitor.jobs.leader import PAGER, RECONCILER, lead
from monitor.jobs.roster import sign_in, sign_out
from tests.monitor.conftest import BOTH_DATABASES, Sessions
from tests.monitor.filled import fill
from tests.services import RedisServer

Ails = Callable[[Process, float], str | None]


@pytest.fixture
def ails(sessions: Sessions) -> Ails:
    def asked(process: Process, now: float) -> str | None:
        with sessions() as session:
            return what_ails(session, process, "host-0", ["chat"], now, alone=False)

    return asked


@BOTH_DATABASES
def test_a_worker_is_well_while_it_signs_in(sessions: Sessions, ails: Ails) -> None:
    assert ails("worker", 100.0) == "worker host-0 has never signed in, or has ended"
    with sessions.begin() as session:
        sign_in(session, "host-0", ["gpu"], "0", 0.0, now=100.0)
    assert ails("worker", 150.0) is None
    assert ails("worker", 200.0) == "silent for 1 min 40 s"
    with sessions.begin() as session:
        sign_out(session, "host-0")
    assert ails("worker", 150.0) is not None


def test_a_worker_that_compares_is_well_though_its_loop_for_messages_hangs(
    sessions: Sessions, ails: Ails
) -> None:
    fill(sessions, 1000.0)  # host-0 compares, and has a lease until 1060
    assert ails("worker", 1055.0) is None
    assert "silent" in str(ails("worker", 1070.0))


@pytest.mark.parametrize(("process", "role"), [("reconcile", RECONCILER), ("alerts", PAGER)])
def test_those_of_whom_one_leads_are_well_while_any_does(
    sessions: Sessions, ails: Ails, process: Process, role: str
) -> None:
    assert ails(process, 100.0) == "none has ever led"
    with sessions.begin() as session:
        lead(session, role, "another:1:0", 100.0, 60.0)
    assert ails(process, 159.0) is None
    assert ails(process, 170.0) == "none leads since 10.0 s"


def test_the_watch_is_well_while_every_line_is_looked_at(sessions: Sessions, ails: Ails) -> None:
    assert ails("watch", 0.0) == "line chat was never looked at"
    with sessions.begin() as session:
        session.add(Line(name="chat", created_at=0.0, looked_at=100.0))
        session.add(Line(name="given up", created_at=0.0, looked_at=0.0))
    assert ails("watch", 700.0) is None
    assert ails("watch", 701.0) == "line chat was not looked at for 10 min 1 s"


def test_a_watch_that_takes_in_a_push_is_well_for_an_hour(sessions: Sessions, ails: Ails) -> None:
    with sessions.begin() as session:
        session.add(Line(name="chat", created_at=0.0, looked_at=100.0, taking_in_since=600.0))
    assert ails("watch", 4199.0) is None
    assert ails("watch", 4201.0) == "line chat was not looked at for 1 h 8 min"


def test_a_watch_without_workers_is_well_while_it_compares(sessions: Sessions) -> None:
    fill(sessions, 1000.0)  # a diff runs, and has a lease until 1060
    for alone, now, well in [(True, 1055.0, True), (True, 1061.0, False), (False, 1055.0, False)]:
        with sessions() as session:
            assert leases.held(session, now) == (now < 1060.0)
            ails = what_ails(session, "watch", "any", ["unseen"], now, alone=alone)
        assert (ails is None) == well


def test_nothing_is_said_against_a_worker_while_the_broker_is_away(
    database_url: str, redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTWATCH_DATABASE_URL", database_url)
    monkeypatch.setenv("LATENTWATCH_BROKER__URL", redis_server.url)
    asked = ["healthy", "worker", "--name", "gpu-0", "--data-dir", str(tmp_path)]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 1 and "worker gpu-0 has never signed in" in done.output
    redis_server.kill()
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0 and "the broker can't be asked" in done.output
