"""One question about an alert from its claim to its end, answered in a process of its own."""

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from pydantic import ValidationError
from sqlalchemy.orm import Session

from alerts.question import ANSWERED, ASKED, Answered, Asked, SeedsAsked, SuiteAsked
from alerts.verdict import Verdict
from monitor.database.schema import Diff, Question
from monitor.errors import LeaseLostError, QuestionError
from monitor.jobs import questions
from monitor.owner import this_process
from monitor.sources.fetching import fetching
from workers.dispatch.claim import Claim, checkpoints_of, claim_of, job_of
from workers.dispatch.workplace import (
    Unshown,
    Workplace,
    settings_for_processes,
    with_errors,
    work_apart,
    write_result,
)
from workers.errors import OtherRecipeError
from workers.job import Job
from workers.keeping.carrier import carried
from workers.processes.attempt import Attempt
from workers.processes.heartbeat import LEASE_SECONDS, Heartbeat, Told
from workers.processes.isolation import network_namespace
from workers.processes.question_process import QuestionWork
from workers.processes.supervisor import Ending

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 3600.0
"""Most that one try of an answer may take; comparisons have to wait for it. Further seeds may take
as long as a comparison, of which their trainings are a part."""


class _Claimed(NamedTuple):
    question_id: int
    fence: int
    asked: Asked
    about: Claim
    """The comparison, which has ended; it is not claimed."""
    shifted: tuple[str, ...]
    """Behaviours that it flagged."""

    def renew(self, session: Session, now: float, _: Told) -> str | None:
        return questions.renew_question(session, self.question_id, self.fence, now, LEASE_SECONDS)


def answer_due(place: Workplace, queue: str | None = None) -> bool:
    """Answer the question that has waited longest, in `queue` where one is named; whether one was
    due. However it ends, what became of it is in its row, unless this process dies or another one
    has taken it over."""
    with place.sessions.begin() as session:
        now = place.clock()
        row = questions.claim_question(session, now, this_process(), LEASE_SECONDS, queue)
        claimed = None if row is None else _claimed(session, row)
    if claimed is None:
        return False
    name = f"question {claimed.question_id}"
    logger.info("%s, about %s, is answered", name, claimed.about.name)
    try:
        write_result(place, _conclusion(claimed, with_errors(name, lambda: _ask(place, claimed))))
    except LeaseLostError as error:
        logger.info("%s", error)
    except KeyboardInterrupt:
        with suppress(LeaseLostError):
            write_result(place, _conclusion(claimed, Ending(stopped=True)))
        raise
    return True


def _claimed(session: Session, row: Question) -> _Claimed:
    diff = session.get_one(Diff, row.diff_id)
    return _Claimed(
        row.id,
        row.fence,
        ASKED.validate_json(row.asked),
        claim_of(session, diff),
        _shifted(diff.verdict),
    )


def _shifted(verdict: str | None) -> tuple[str, ...]:
    try:
        return Verdict.model_validate_json(verdict or "").shifted
    except ValidationError:  # of another release; what its stages left is not found then either
        return ()


def _ask(place: Workplace, claimed: _Claimed) -> Answered | Ending:
    settings = place.settings
    deadline = settings.broker.deadline_seconds
    if not isinstance(claimed.asked, SeedsAsked):
        deadline = min(ANSWER_SECONDS, deadline)
    with (
        fetching(settings),
        Heartbeat(place.sessions, claimed.renew, Unshown(), place.clock) as heartbeat,
    ):
        attempt = Attempt(heartbeat, place.must_stop, deadline)
        job = _job(place, claimed, attempt)
        work = QuestionWork(
            parent=os.getpid(),
            shared_network=network_namespace(),
            job=job,
            settings=settings_for_processes(settings),
            asked=claimed.asked,
            shifted=claimed.shifted,
        )

        def hear(_: dict[str, Any]) -> None:
            heartbeat.raise_if_ended()

        with carried(settings, job, attempt.raise_if_ended):
            attempt.raise_if_ended()
            ending = work_apart(place, place.answer_command, work, hear, attempt)
    return ending if ending.outcome is None else ANSWERED.validate_python(ending.outcome["answer"])


def _job(place: Workplace, claimed: _Claimed, attempt: Attempt) -> Job:
    if isinstance(claimed.asked, SuiteAsked):  # of the check's own figures it needs none
        return checkpoints_of(place.sessions, claimed.about, attempt.step)
    try:
        return job_of(place.sessions, place.settings, claimed.about, attempt.step)
    except OtherRecipeError as error:
        raise QuestionError(
            "the version was checked under another recipe than the present one; check it again, "
            "then ask"
        ) from error


def _conclusion(claimed: _Claimed, ended: Answered | Ending) -> Callable[[Session, float], None]:
    """What to write about the question, which ended so."""
    key = claimed.question_id, claimed.fence
    if not isinstance(ended, Ending):
        return lambda session, now: questions.answer_question(session, *key, ended, now)
    if ended.cancelled is not None:
        return lambda session, now: questions.end_cancelled(session, *key, now)
    if ended.stopped:
        return lambda session, now: questions.release_question(session, *key, now)
    if ended.refused is not None:
        refused = ended.refused
        return lambda session, now: questions.fail_question(session, *key, refused, now)
    crash = ended.crashed or ended.elsewhere or "ended without an answer"
    return lambda session, now: questions.retry_question(session, *key, crash, now)
