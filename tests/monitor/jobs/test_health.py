"""A process that has died or hangs is told by what it no longer writes."""

from collections.abc import Callable

import pytest

from monitor.database.schema import Line
from monitor.jobs.health import Process, what_ails
from monitor.jobs.leader import PAGER, RECONCILER, lead
from monitor.jobs.roster import sign_in, sign_out
from tests.monitor.conftest import BOTH_DATABASES, Sessions
from tests.monitor.filled import fill

Ails = Callable[[Process, float], str | None]


@pytest.fixture
def ails(sessions: Sessions) -> Ails:
    def asked(process: Process, now: float) -> str | None:
        with sessions() as session:
            return what_ails(session, process, "host-0", ["chat"], now)

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


def test_a_worker_that_compares_is_well_while_the_broker_is_away(
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
