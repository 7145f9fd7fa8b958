"""What died is tried again later and in the end given up; what got lost is sent again."""

import multiprocessing

import pytest
from sqlalchemy import select

from monitor.database.opening import open_database
from monitor.database.schema import Diff, DiffState, Lease, Line, Outgoing, Version
from monitor.jobs import diff_claims, diff_endings, diff_queue
from monitor.jobs.leader import lead
from monitor.jobs.outbox import Message, relay
from monitor.jobs.reconcile import LOST_AFTER_SECONDS, Running, Waiting, decide, reconcile
from tests.monitor.conftest import BOTH_DATABASES, AddVersion, Sessions

pytestmark = BOTH_DATABASES
ELSEWHERE = "another-host:1:0.00"


@pytest.fixture
def diff(sessions: Sessions, line: Line, add_version: AddVersion) -> Diff:
    base, candidate = add_version("v1", trusted=True), add_version("v2")
    with sessions.begin() as session:
        base, candidate = session.merge(base), session.merge(candidate)
        return diff_queue.queue_diff(session, line, base, candidate, "recipe", 10.0)


def row(sessions: Sessions, diff: Diff) -> Diff:
    with sessions() as session:
        return session.get_one(Diff, diff.id)


def sent(sessions: Sessions, now: float) -> list[Message]:
    messages: list[Message] = []
    assert relay(sessions, messages.append, now) == messages
    return messages


def claim(sessions: Sessions, diff: Diff, now: float, seconds: float = 60.0) -> Diff | None:
    with sessions.begin() as session:
        return diff_claims.claim_due(session, diff.id, now, ELSEWHERE, seconds)


def test_what_is_queued_is_sent_once_and_claimed_once(sessions: Sessions, diff: Diff) -> None:
    assert sent(sessions, 11.0) == [Message(diff.id, "gpu")]
    assert sent(sessions, 12.0) == []
    assert claim(sessions, diff, 13.0) is not None
    assert claim(sessions, diff, 13.0) is None  # a duplicate of the message


def test_a_broker_that_is_away_loses_nothing(sessions: Sessions, diff: Diff) -> None:
    def away(_: Message) -> None:
        raise ConnectionError("no route to redis")

    with pytest.raises(ConnectionError):
        relay(sessions, away, 11.0)
    assert sent(sessions, 12.0) == [Message(diff.id, "gpu")]


def test_an_expired_lease_is_tried_again_after_a_wait_and_given_up_in_the_end(
    sessions: Sessions, diff: Diff
) -> None:
    now, waits = 20.0, []
    for attempt in range(1, diff_endings.MAX_ATTEMPTS + 1):
        claimed = claim(sessions, diff, now)
        assert claimed is not None and claimed.attempt == attempt
        with sessions.begin() as session:
            diff_claims.heartbeat(session, diff.id, claimed.fence, now, 60.0, stage="train")
            assert reconcile(session, {}, now + 59.0) == ([], [])
            decided = reconcile(session, {}, now + 60.0)
        assert decided is not None and [one.id for one in decided.abandoned] == [diff.id]
        after = row(sessions, diff)
        if attempt < diff_endings.MAX_ATTEMPTS:
            assert after.state == DiffState.QUEUED and "during train" in str(after.error)
            waits.append(after.not_before - now - 60.0)
            assert claim(sessions, diff, after.not_before - 1.0) is None
            assert sent(sessions, after.not_before - 1.0) == []
            assert sent(sessions, after.not_before) == [Message(diff.id, "gpu")]
            now = after.not_before
    assert waits == [30.0, 60.0, 120.0, 240.0]
    assert after.state == DiffState.FAILED
    assert after.error is not None and after.error.startswith("given up after 5 tries")
    with sessions() as session:
        assert session.scalars(select(Outgoing)).all() == []
        assert session.scalars(select(Version.state).filter_by(name="v2")).one() == "undecided"


def test_a_lost_message_is_sent_again(sessions: Sessions, diff: Diff) -> None:
    sent(sessions, 11.0)
    later = 11.0 + LOST_AFTER_SECONDS
    for depths, now, resent in (
        ({"gpu": 0}, later - 1.0, []),  # it may be under way
        ({"gpu": 1}, later, []),  # it is in the queue
        ({}, later, []),  # nobody can tell while the broker is away
        ({"gpu": 0, "cpu": 3}, later, [diff.id]),
    ):
        with sessions.begin() as session:
            decided = reconcile(session, depths, now)
        assert decided is not None and [one.id for one in decided.resend] == resent
    assert sent(sessions, later) == [Message(diff.id, "gpu")]


def test_a_dead_owner_is_not_waited_for(database_url: str) -> None:
    dead, alive = Running(1, 3, "probe", 99.0, True), Running(2, 1, None, 99.0, False)
    decided = decide([dead, alive], [Waiting(3, "cpu", 0.0)], {"cpu": 1}, 50.0)
    assert [(one.id, one.fence) for one in decided.abandoned] == [(1, 3)]
    assert decided.abandoned[0].reason == "its worker died during probe"


def test_a_queued_diff_is_cancelled_at_once_and_runs_again_only_when_asked(
    sessions: Sessions, line: Line, diff: Diff
) -> None:
    with sessions.begin() as session:
        diff_endings.request_cancel(session, diff.id, "ann: not needed", 20.0)
    after = row(sessions, diff)
    assert (after.state, after.error) == (DiffState.CANCELLED, "cancelled: ann: not needed")
    assert not diff_queue.is_retriable(after) and sent(sessions, 30.0) == []
    assert claim(sessions, diff, 30.0) is None
    with sessions.begin() as session:
        base, candidate = session.scalars(select(Version).order_by(Version.name)).all()
        diff_queue.queue_diff(session, line, base, candidate, "recipe", 40.0)
    assert claim(sessions, diff, 40.0) is not None


@pytest.mark.parametrize("ends", ["told", "stopped", "crashed", "died"])
def test_a_running_diff_is_cancelled_however_its_worker_ends(
    sessions: Sessions, diff: Diff, ends: str
) -> None:
    claimed = claim(sessions, diff, 20.0)
    assert claimed is not None
    with sessions.begin() as session:
        diff_endings.request_cancel(session, diff.id, "ann: not needed", 21.0)
    assert row(sessions, diff).state == DiffState.RUNNING
    with sessions.begin() as session:
        told = diff_claims.heartbeat(session, diff.id, claimed.fence, 22.0, 60.0)
        assert told == "ann: not needed"
        if ends == "told":
            diff_endings.cancelled(session, diff.id, claimed.fence, 23.0)
        elif ends == "stopped":
            diff_endings.release(session, diff.id, claimed.fence, 23.0)
        elif ends == "crashed":
            diff_endings.retry_later(session, diff.id, claimed.fence, "crashed", 23.0)
        else:
            reconcile(session, {}, 100.0)
    after = row(sessions, diff)
    assert (after.state, after.error) == (DiffState.CANCELLED, "cancelled: ann: not needed")


def _lead(url: str, barrier: object, results: object) -> None:
    sessions = open_database(url)
    barrier.wait()  # type: ignore[attr-defined]
    with sessions.begin() as session:
        results.put(reconcile(session, {}, 20.0) is not None)  # type: ignore[attr-defined]
    barrier.wait()  # type: ignore[attr-defined]
    sessions.kw["bind"].dispose()


def test_of_two_reconcilers_one_leads_until_it_is_gone(
    sessions: Sessions, database_url: str
) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    both = [context.Process(target=_lead, args=(database_url, barrier, results)) for _ in range(2)]
    for process in both:
        process.start()
    assert sorted(results.get(timeout=60) for _ in both) == [False, True]
    for process in both:
        process.join()
    with sessions.begin() as session:  # the leader is dead, which this host can tell
        assert lead(session, "reconciler", ELSEWHERE, 21.0, 60.0)
    with sessions.begin() as session:
        assert reconcile(session, {}, 80.0) is None
        assert reconcile(session, {}, 81.0) is not None
        assert session.get_one(Lease, "reconciler").until > 81.0
