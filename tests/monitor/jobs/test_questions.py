"""The queue of questions: bounded, claimed once, answered under the newest fence, given up in the
end, and all of it in the audit log."""

import pytest
from sqlalchemy import select

from alerts.alert_steps import Refusal
from monitor.alerting.alerts import subject_of
from monitor.database.schema import Audit, Question, QuestionState, Trust, Version
from monitor.errors import LeaseLostError
from monitor.jobs.outbox import Message, relay
from monitor.jobs.questions import (
    MAX_ATTEMPTS,
    answer_question,
    cancel_question,
    end_cancelled,
    release_question,
    renew_question,
    retry_question,
)
from monitor.jobs.reconcile import LOST_AFTER_SECONDS, reconcile
from monitor.jobs.status import status_of
from monitor.lineage.trust import move, verify_audit
from monitor.paging.pager import TICK_SECONDS
from tests.alerts.steered import steered
from tests.monitor.conftest import BOTH_DATABASES
from tests.monitor.jobs.questions import claim, put_prompt
from tests.monitor.paging.alerting import Desk

HOSTILE = "a\x00b\ud800c <!channel> '; DROP TABLE questions; --"


def row(desk: Desk, question: Question) -> Question:
    with desk.sessions() as session:
        return session.get_one(Question, question.id)


def standing(desk: Desk) -> tuple[list[tuple[str, int, int]], list[tuple[str, str]]]:
    """What `latentwatch status` says of the queues and of what runs."""
    with desk.sessions() as session:
        status = status_of(session, desk.clock())
    return [tuple(queue) for queue in status.queues], [(r.name, r.stage) for r in status.running]


def audited(desk: Desk, question: Question) -> list[tuple[str, str, str, str]]:
    subject = f"{subject_of(desk.alert())}:question:{question.id}"
    with desk.sessions() as session:
        assert verify_audit(session) == []
        rows = session.scalars(select(Audit).filter_by(subject=subject).order_by(Audit.id))
        return [(a.from_state, a.to_state, a.actor, a.reason) for a in rows]


@BOTH_DATABASES
def test_a_question_is_claimed_once_answered_once_and_audited(flagged: Desk) -> None:
    revision = flagged.alert().revision
    question = put_prompt(flagged, HOSTILE)
    claimed = claim(flagged)
    assert claimed is not None and claim(flagged) is None
    answered = steered("<@U0ADA> *yes*")
    with flagged.sessions.begin() as session:
        renew_question(session, question.id, claimed.fence, flagged.clock(), 60.0)
        answer_question(session, question.id, claimed.fence, answered, flagged.clock())
    for late in (claimed.fence, claimed.fence - 1):
        with pytest.raises(LeaseLostError), flagged.sessions.begin() as session:
            answer_question(session, question.id, late, steered("late"), flagged.clock())
    after = row(flagged, question)
    assert (after.state, after.owner, after.answer) == (
        QuestionState.ANSWERED,
        None,
        answered.model_dump_json(),
    )
    assert audited(flagged, question) == [
        ("none", "queued", "slack:U0ADA", question.asked),
        ("running", "answered", "latentwatch", after.answer),
    ]
    assert "abc <!channel> '; DROP TABLE questions; --" in question.asked
    assert flagged.alert().revision == revision  # nobody's button has become stale


@BOTH_DATABASES
def test_what_waits_when_the_alert_is_decided_is_cancelled(flagged: Desk) -> None:
    runs, waits = put_prompt(flagged, "first"), put_prompt(flagged, "second")
    claimed = claim(flagged)
    assert claimed is not None and claimed.id == runs.id
    pager = flagged.pager()
    pager.step()
    assert row(flagged, waits).state == QuestionState.QUEUED
    with flagged.sessions.begin() as session:
        version = session.scalars(select(Version).filter_by(name="v2")).one()
        now = flagged.clock()
        move(session, version, Trust.QUARANTINED, actor="ann", reason="flatters", now=now)
    flagged.clock.now += TICK_SECONDS
    pager.step()
    reason = "the alert is quarantined"
    assert row(flagged, waits).error == f"cancelled by latentwatch: {reason}"
    assert row(flagged, runs).cancel_reason == reason
    entries = audited(flagged, waits)
    flagged.clock.now += TICK_SECONDS
    pager.step()
    assert audited(flagged, waits) == entries


@BOTH_DATABASES
def test_a_worker_is_woken_and_a_lost_message_is_sent_again(flagged: Desk) -> None:
    question = put_prompt(flagged)
    now, messages = flagged.clock(), list[Message]()
    assert standing(flagged) == ([("gpu", 1, 0)], [])
    expected = Message(question.diff_id, "gpu")
    assert relay(flagged.sessions, messages.append, now) == messages == [expected]
    assert relay(flagged.sessions, messages.append, now) == []
    for depth, later, lost in ((1, LOST_AFTER_SECONDS, []), (0, LOST_AFTER_SECONDS, [question.id])):
        with flagged.sessions.begin() as session:
            decided = reconcile(session, {"gpu": depth}, now + later)
        assert decided is not None
        assert [(one.id, one.kind) for one in decided.resend] == [(id_, "question") for id_ in lost]
    assert relay(flagged.sessions, messages.append, now + 90.0) == [expected]
    claimed = claim(flagged)
    assert claimed is not None
    assert standing(flagged) == ([], [("assistant: v2", f"question {question.id}")])
    with flagged.sessions.begin() as session:
        answer_question(session, question.id, claimed.fence, steered("yes"), now + 91.0)
    assert standing(flagged) == ([], [])
    assert relay(flagged.sessions, messages.append, now + 9000.0) == []


@BOTH_DATABASES
@pytest.mark.parametrize("who", ["the reconciler", "the next worker"])
def test_what_dead_workers_have_left_is_taken_up_and_given_up_in_the_end(
    flagged: Desk, who: str
) -> None:
    question = put_prompt(flagged)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        claimed = claim(flagged)
        assert claimed is not None and claimed.attempt == attempt
        flagged.clock.now += 60.0
        if who == "the reconciler":
            with flagged.sessions.begin() as session:
                decided = reconcile(session, {}, flagged.clock())
            assert decided is not None and [one.id for one in decided.abandoned] == [question.id]
            flagged.clock.now += 600.0
    assert claim(flagged) is None
    after = row(flagged, question)
    assert after.state == QuestionState.FAILED and after.error is not None
    assert "given up" in after.error
    assert [move[1] for move in audited(flagged, question)] == ["queued", "failed"]


@BOTH_DATABASES
def test_a_question_that_waits_is_cancelled_at_once_and_one_that_runs_by_who_answers(
    flagged: Desk,
) -> None:
    waits = put_prompt(flagged)
    assert cancel(flagged, waits) is None
    again = cancel(flagged, waits)
    assert isinstance(again, Refusal) and "is cancelled already" in again.reason
    assert claim(flagged) is None
    assert audited(flagged, waits)[1:] == [("queued", "cancelled", "ann", "not needed")]
    assert row(flagged, waits).error == "cancelled by ann: not needed"

    runs = put_prompt(flagged)
    claimed = claim(flagged)
    assert claimed is not None and cancel(flagged, runs) is None
    assert row(flagged, runs).state == QuestionState.RUNNING
    with flagged.sessions() as session:
        [shown] = status_of(session, flagged.clock()).questions
    assert (shown.id, shown.state, shown.asked_by) == (runs.id, "to be cancelled", "slack:U0ADA")
    with flagged.sessions.begin() as session:
        told = renew_question(session, runs.id, claimed.fence, flagged.clock(), 60.0)
        assert told == "not needed"
        end_cancelled(session, runs.id, claimed.fence, flagged.clock())
    after = row(flagged, runs)
    assert (after.state, after.owner, after.answer) == ("cancelled", None, None)
    assert [move[:3] for move in audited(flagged, runs)][1:] == [
        ("running", "running", "ann"),
        ("running", "cancelled", "latentwatch"),
    ]


def test_an_answer_that_was_ready_before_its_cancelling_was_heard_of_stands(flagged: Desk) -> None:
    question = put_prompt(flagged)
    claimed = claim(flagged)
    assert claimed is not None and cancel(flagged, question) is None
    again = cancel(flagged, question)
    assert isinstance(again, Refusal) and "is to be cancelled already" in again.reason
    with flagged.sessions.begin() as session:
        answer_question(session, question.id, claimed.fence, steered("yes"), flagged.clock())
    after = row(flagged, question)
    assert after.state == QuestionState.ANSWERED and after.answer is not None
    late = cancel(flagged, question)
    assert isinstance(late, Refusal) and "is answered already" in late.reason
    assert [move[:3] for move in audited(flagged, question)][1:] == [
        ("running", "running", "ann"),
        ("running", "answered", "latentwatch"),
    ]


@pytest.mark.parametrize("how", ["crashed", "stopped", "dead"])
def test_what_is_to_be_cancelled_is_not_tried_again(flagged: Desk, how: str) -> None:
    question = put_prompt(flagged)
    claimed = claim(flagged)
    assert claimed is not None and cancel(flagged, question) is None
    with flagged.sessions.begin() as session:
        if how == "crashed":
            retry_question(session, question.id, claimed.fence, "killed", flagged.clock())
        elif how == "stopped":
            release_question(session, question.id, claimed.fence, flagged.clock())
    flagged.clock.now += 700.0
    assert claim(flagged) is None
    assert row(flagged, question).state == QuestionState.CANCELLED


def cancel(desk: Desk, question: Question) -> Refusal | None:
    with desk.sessions.begin() as session:
        found = session.get_one(Question, question.id)
        return cancel_question(session, found, "ann", "not needed", desk.clock())


def test_a_crash_waits_and_a_stop_does_not_count(flagged: Desk) -> None:
    question = put_prompt(flagged)
    for _ in range(MAX_ATTEMPTS + 1):
        stopped = claim(flagged)
        assert stopped is not None
        with flagged.sessions.begin() as session:
            release_question(session, question.id, stopped.fence, flagged.clock())
    crashed = claim(flagged)
    assert crashed is not None and crashed.attempt == 1
    with flagged.sessions.begin() as session:
        retry_question(session, question.id, crashed.fence, "killed", flagged.clock())
    assert claim(flagged) is None and row(flagged, question).error == "killed"
    flagged.clock.now += 30.0
    assert claim(flagged) is not None
