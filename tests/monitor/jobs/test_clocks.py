"""Clocks of hosts are compared with that of the database, and a wrong one is told."""

import logging
import time
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import select, text, update

from monitor.database.schema import HostClock
from monitor.jobs.clocks import (
    FORGOTTEN_SECONDS,
    SILENT_SECONDS,
    WRONG_SECONDS,
    note_clock,
    wrong_clocks,
)
from monitor.jobs.leader import lead
from monitor.jobs.status import status_of
from monitor.terminal.status import status_data, status_view
from monitor.watching.line_watch import LineWatch
from tests.monitor.conftest import Sessions
from tests.monitor.watching.watched import WatchedLine

POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def ahead_of(sessions: Sessions) -> dict[str, float]:
    with sessions() as session:
        return {row.host: row.ahead for row in session.scalars(select(HostClock))}


def hold(sessions: Sessions, role: str, owner: str, off: float) -> None:
    with sessions.begin() as session:
        lead(session, role, owner, time.time() + off, 60.0)


@POSTGRESQL
def test_a_wrong_clock_is_told_by_whoever_holds_a_lease(
    sessions: Sessions, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "monitor.jobs.clocks"):
        for _ in range(2):
            hold(sessions, "worker gpu-0", "here:1:1", 0.0)
            hold(sessions, "worker gpu-1", "late:1:1", -75.0)
            hold(sessions, "reconciler", "early:1:1", 300.0)
    assert [record.message.partition(" s ")[0] for record in caplog.records] == [
        "the clock of late is 75",
        "the clock of early is 300",
    ]
    assert abs(ahead_of(sessions)["here"]) < WRONG_SECONDS
    with sessions() as session:
        status = status_of(session, time.time())
    assert status.wrong_clocks == {
        "early": pytest.approx(300.0, abs=5.0),
        "late": pytest.approx(-75.0, abs=5.0),
    }
    assert status_data(status, 0.0)["wrong_clocks"].keys() == {"early", "late"}
    console = Console(width=200)
    with console.capture() as shown:
        console.print(status_view(status, time.time(), has_broker=True))
    assert "the clock of late is 75 s behind that of the database" in " ".join(shown.get().split())
    hold(sessions, "worker gpu-1", "late:1:1", 0.0)
    with sessions() as session:
        assert wrong_clocks(session).keys() == {"early"}
        before = HostClock.measured_at - SILENT_SECONDS - 60.0
        session.execute(update(HostClock).values(measured_at=before))
        assert wrong_clocks(session) == {}  # nobody has heard of that host since


@POSTGRESQL
def test_waiting_for_the_others_is_not_taken_for_a_wrong_clock(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.jobs.clocks.WRONG_SECONDS", 0.5)
    with sessions.begin() as session:
        before = time.time()
        session.execute(text("SELECT pg_sleep(1)"))
        note_clock(session, "before", before)
        note_clock(session, "after", time.time())
        assert wrong_clocks(session) == {}


@POSTGRESQL
def test_a_host_that_is_gone_is_forgotten(sessions: Sessions) -> None:
    hold(sessions, "worker gpu-0", "gone:1:1", 300.0)
    with sessions.begin() as session:
        session.get_one(HostClock, "gone").measured_at -= FORGOTTEN_SECONDS + 60.0
    hold(sessions, "worker gpu-1", "here:1:1", 0.0)
    assert ahead_of(sessions).keys() == {"here"}


@POSTGRESQL
def test_a_look_of_the_watch_compares_the_clock_that_it_goes_by(
    sessions: Sessions, tmp_path: Path
) -> None:
    line = WatchedLine(tmp_path / "data", sessions, {"directory": tmp_path})
    LineWatch(line.settings.lines[0], line.settings, line.around).look()
    [ahead] = ahead_of(sessions).values()
    assert ahead == pytest.approx(1000.0, abs=500.0)  # as this clock is


def test_one_host_has_nothing_to_compare_with(sessions: Sessions) -> None:
    hold(sessions, "worker gpu-0", "here:1:1", 300.0)
    assert ahead_of(sessions) == {}
