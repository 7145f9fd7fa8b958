"""The queue of questions: bounded, claimed once, answered under the newest fence, given up in the
end, and all of it in the audit log."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import select

from alerts.alert import Refusal
from alerts.question import PromptAsked, SeedsAsked, SuiteAsked
from alerts.verdict import Verdict
from monitor.database.schema import AlertRow, Audit, Question, QuestionState, Trust, Version
from monitor.errors import LeaseLostError
from monitor.jobs.asked_suites import bundled_behaviours
from monitor.jobs.asking import Offer, offer_of, put
from monitor.jobs.outbox import Message, relay
from monitor.jobs.questions import (
    MAX_ATTEMPTS,
    MOST_WAITING,
    answer_question,
    cancel_question,
    end_cancelled,
    fail_question,
    release_question,
    renew_question,
    retry_question,
)
from monitor.jobs.reconcile import LOST_AFTER_SECONDS, reconcile
from monitor.jobs.status import status_of
from monitor.lineage.trust import move, verify_audit
from monitor.paging.alerting import subject_of
from monitor.paging.pager import TICK_SECONDS
from tests.alerts import samples
from tests.alerts.steered import steered
from tests.alerts.suites import suite_json
from tests.monitor.conftest import BOTH_DATABASES
from tests.monitor.jobs.questions import FEATURE, claim, give_answer, put_prompt
from tests.monitor.paging.alerting import Desk, desk

__all__ = ["desk"]

HOSTILE = "a\x00b\ud800c <!channel> '; DROP TABLE questions; --"


@pytest.fixture
def flagged(desk: Desk) -> Desk:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    return desk


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


def test_no_more_than_five_wait_for_an_alert(flagged: Desk) -> None:
    for _ in range(MOST_WAITING):
        put_prompt(flagged)
    asked = PromptAsked(prompt="a sixth?", feature=FEATURE)
    with flagged.sessions.begin() as session:
        alert = session.get_one(AlertRow, flagged.alert().id)
        refused = put(session, alert, asked, "slack:U0BEN", flagged.clock(), [])
        assert isinstance(refused, Refusal) and "5 questions about this alert" in refused.reason
    give_answer(flagged, "yes")
    put_prompt(flagged, "a sixth?")


def test_a_suite_is_not_asked_about_twice_while_it_waits(flagged: Desk) -> None:
    with flagged.sessions.begin() as session:
        alert = session.get_one(AlertRow, flagged.alert().id)
        offer = offer_of(session, alert, [])
        assert isinstance(offer, Offer)
        asked = SuiteAsked(suite=offer.suites[0])
        assert isinstance(put(session, alert, asked, "ann", flagged.clock(), []), Question)
        again = put(session, alert, asked, "ann", flagged.clock(), [])
        assert isinstance(again, Refusal) and "asks that already" in again.reason


@BOTH_DATABASES
def test_of_many_who_ask_for_seeds_at_once_one_is_served(flagged: Desk) -> None:
    begin, alert_id = threading.Barrier(4), flagged.alert().id

    def ask(seeds: int) -> Question | Refusal:
        begin.wait()
        with flagged.sessions.begin() as session:
            alert = session.get_one(AlertRow, alert_id)
            asked = SeedsAsked(seeds=seeds)
            return put(session, alert, asked, "ann", flagged.clock(), [])

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(ask, [1, 2, 3, 1]))
    refused = [result for result in results if isinstance(result, Refusal)]
    assert len(refused) == 3 and all("asks that already" in one.reason for one in refused)
    claimed = claim(flagged)
    assert claimed is not None
    with flagged.sessions.begin() as session:
        alert = session.get_one(AlertRow, flagged.alert().id)
        again = put(session, alert, SeedsAsked(seeds=1), "ben", flagged.clock(), [])
        assert isinstance(again, Refusal) and "is running" in again.reason
    with flagged.sessions.begin() as session:
        fail_question(session, claimed.id, claimed.fence, "no room", flagged.clock())
    with flagged.sessions.begin() as session:
        alert = session.get_one(AlertRow, flagged.alert().id)
        assert isinstance(put(session, alert, SeedsAsked(seeds=1), "ben", 0.0, []), Question)


def test_seeds_are_for_what_was_trained(desk: Desk) -> None:
    untrained = samples.flagged_json()
    untrained["recipe"]["tokens"] = None
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", Verdict.model_validate(untrained))
    with desk.sessions.begin() as session:
        alert = session.get_one(AlertRow, desk.alert().id)
        refused = put(session, alert, SeedsAsked(seeds=1), "ann", desk.clock(), [])
    assert isinstance(refused, Refusal) and "trained no crosscoder" in refused.reason


@pytest.mark.parametrize("seeds", [0, -1, 4, "many"])
def test_the_number_of_seeds_is_bounded(seeds: object) -> None:
    with pytest.raises(ValidationError):
        SeedsAsked.model_validate({"seeds": seeds})


def test_only_what_was_found_can_be_asked_about(flagged: Desk) -> None:
    with flagged.sessions.begin() as session:
        alert = session.get_one(AlertRow, flagged.alert().id)
        offer = offer_of(session, alert, [])
        assert isinstance(offer, Offer)
        assert [f.id for f in offer.features] == ["candidate-10", "candidate-17", "candidate-24"]
        assert not {"sycophancy", "capability"} & set(offer.suites) and offer.suites
        for asked in (
            PromptAsked(prompt="p", feature="base-31"),
            SuiteAsked(suite="sycophancy"),
            SuiteAsked(suite="capability"),
        ):
            refused = put(session, alert, asked, "ann", flagged.clock(), [])
            assert isinstance(refused, Refusal) and "can't be asked about" in refused.reason
        assert session.scalars(select(Question)).all() == []


def test_of_what_could_not_be_checked_suites_alone_can_be_asked_about(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", None)
    with desk.sessions.begin() as session:
        alert = session.get_one(AlertRow, desk.alert().id)
        offer = offer_of(session, alert, [])
        assert isinstance(offer, Offer)
        assert (offer.features, offer.seeds) == ([], False) and "sycophancy" in offer.suites
        asked = SuiteAsked(suite="sycophancy")
        assert isinstance(put(session, alert, asked, "ann", 0.0, []), Question)
        alert.state = "quarantined"
        ended = offer_of(session, alert, [])
        assert isinstance(ended, Refusal) and ended.reason == "already quarantined"


def test_where_all_was_measured_and_nothing_found_there_is_nothing_to_ask(desk: Desk) -> None:
    told = samples.undecided().model_dump()
    [measured, *_] = samples.flagged().model_dump()["behaviours"]
    told["features"] = []
    told["behaviours"] = [
        measured | {"name": name, "flagged": False} for name in bundled_behaviours()
    ]
    desk.check(desk.add_version("v1", trusted=True), "v2", Verdict.model_validate(told))
    with desk.sessions.begin() as session:
        alert = session.get_one(AlertRow, desk.alert().id)
        refused = offer_of(session, alert, [])
    assert isinstance(refused, Refusal) and "measured every suite" in refused.reason


def test_before_a_comparison_has_ended_nothing_is_asked(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", None)
    with desk.sessions.begin() as session:
        alert = session.get_one(AlertRow, desk.alert().id)
        alert.finding, alert.diff_id = "unchecked", None
        refused = offer_of(session, alert, [])
    assert isinstance(refused, Refusal) and "no comparison of it has ended" in refused.reason


def test_the_operators_own_suites_can_be_asked_for_and_a_broken_one_can_not(
    flagged: Desk, tmp_path: Path
) -> None:
    mine, control, broken = (tmp_path / f"{n}.json" for n in ("mine", "control", "broken"))
    mine.write_text(json.dumps(suite_json(behaviour="sycophancy")))
    facts = suite_json(behaviour="facts", role="control")
    del facts["minimum_effect"]
    control.write_text(json.dumps(facts))
    broken.write_text("{")
    entries = ["capability", *map(str, (mine, control, broken, tmp_path / "gone.json"))]
    with flagged.sessions.begin() as session:
        alert = session.get_one(AlertRow, flagged.alert().id)
        offer = offer_of(session, alert, entries)
        assert isinstance(offer, Offer)
        # The check has measured what is called so; the file may be another one since.
        assert offer.suites.count("sycophancy") == 1 and "facts" not in offer.suites
        asked = SuiteAsked(suite="sycophancy")
        assert isinstance(put(session, alert, asked, "ann", 0.0, []), Refusal)
        assert isinstance(put(session, alert, asked, "ann", 0.0, entries), Question)
        mine.write_text(json.dumps(suite_json(behaviour="hostile_tone")))
        offer = offer_of(session, alert, entries)
        assert isinstance(offer, Offer) and offer.suites.count("hostile_tone") == 1


@pytest.mark.parametrize("prompt", ["", " \n\x00\u200b ", "x" * 2001])
def test_a_prompt_is_bounded(prompt: str) -> None:
    with pytest.raises(ValidationError):
        PromptAsked(prompt=prompt, feature=FEATURE)


@pytest.mark.parametrize("suite", ["../secret.json", "a.json", "A", "", "x" * 101])
def test_a_suite_is_a_name_and_no_path(suite: str) -> None:
    with pytest.raises(ValidationError):
        SuiteAsked(suite=suite)
