"""When pushes outrun the workers, the newest are compared and the rest is told."""

import os

import pytest
from sqlalchemy import select

from monitor.database.schema import AlertRow, Line, Outgoing, Trust, Version
from monitor.jobs import diff_claims, diff_queue
from monitor.jobs.status import status_of
from monitor.terminal.status import status_data
from monitor.watching.line_watch import LineWatch
from tests.monitor.watching.standin import RECIPE
from tests.monitor.watching.watched import WatchedDirectory


def test_of_a_backlog_the_newest_are_checked_and_the_rest_is_shown_as_unchecked(
    watched: WatchedDirectory,
) -> None:
    watched.push("v1", 0)
    for number in range(2, 8):
        path = watched.push(f"good-{number}", number)
        os.utime(path / "model.safetensors", (watched.clock.now - 100 + number,) * 2)
    watched.settings = watched.settings.model_copy(update={"max_waiting": 3})
    assert watched.watch() == 3  # a version that was skipped is never a pass
    assert watched.worker.ran == ["good-7", "good-6", "good-5"]
    rows = watched.rows()
    assert {rows[f"good-{number}"].state for number in (2, 3, 4)} == {"superseded"}
    assert rows["good-2"].reason == "not checked: 3 newer versions were waiting"
    assert "chat: good-2 is superseded, not checked: 3 newer versions were waiting" in watched.said
    with watched.sessions() as session:
        now = watched.clock.now
        status = status_of(session, now)
        assert status.unchecked == {"chat": {"superseded": 3}}
        assert status_data(status, now)["oldest_unchecked"]["state"] == "superseded"
        assert session.scalars(select(Outgoing)).all() == []
        assert session.scalars(select(AlertRow)).all() == []  # which nobody could answer
    watched.watch()
    assert len(watched.worker.ran) == 3

    with watched.sessions.begin() as session:  # as `latentwatch check` does
        line = session.scalars(select(Line)).one()
        base, skipped = (
            session.scalars(select(Version).filter_by(name=name)).one() for name in ("v1", "good-2")
        )
        diff_queue.queue_diff(session, line, base, skipped, RECIPE, now)
    watched.worker.run_queued()
    assert watched.states()["good-2"] == "passed"


def test_what_somebody_is_at_work_on_is_not_skipped(watched: WatchedDirectory) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    one_waiting = watched.settings.model_copy(update={"max_waiting": 1})
    line = LineWatch(watched.settings.lines[0], one_waiting, watched.around)
    line.look()
    line.queue(RECIPE, 0.0)
    with watched.sessions.begin() as session:
        assert (
            diff_claims.claim_next(session, watched.clock.now + 1.0, "elsewhere:1:1", 60.0)
            is not None
        )
    for number in (3, 4):
        watched.push(f"good-{number}", number)
    line.look()
    line.queue(RECIPE, 0.0)
    assert sorted(watched.states().values()) == ["checking", "checking", "superseded", "trusted"]
    assert watched.states()["good-2"] == "checking"


@pytest.mark.parametrize(("name", "state"), [("bad-3", "flagged"), ("good-3", "superseded")])
def test_what_one_of_two_bases_has_flagged_is_not_skipped(
    watched: WatchedDirectory, name: str, state: str
) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    watched.watch()
    watched.decide("good-2", Trust.TRUSTED)
    watched.configure(anchor="v1")
    watched.push(name, 2)
    one_waiting = watched.settings.model_copy(update={"max_waiting": 1})
    line = LineWatch(watched.settings.lines[0], one_waiting, watched.around)
    line.look()
    line.queue(RECIPE, 0.0)
    assert watched.worker.run_next()
    watched.clock.now += 10.0
    watched.push("good-4", 3)
    line.look()
    line.queue(RECIPE, 0.0)
    assert watched.states()[name] == state
    assert watched.states()["good-4"] == "checking"
    line.queue(RECIPE, 0.0)  # and it does not begin anew
    assert watched.states()[name] == state
