"""The queue of questions about alerts: asked by reviewers, claimed and answered by workers.

A question and its end are rows of the audit log, with all that was asked and answered. Like all of
the queue this works in the caller's transaction, under the claims of `monitor.jobs.leases`.
"""

from collections.abc import Sequence

from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session

from alerts.alert import LATENTWATCH, UNRESOLVED
from alerts.alert_steps import Refusal
from alerts.question import ASKED, Answered, Asked, PromptAsked, SeedsAsked, subject_in_words
from monitor.alerting.alerts import subject_of
from monitor.alerting.messages import Kind, add_message, messages_of
from monitor.database.audit import record
from monitor.database.schema import UNANSWERED, AlertRow, Diff, Question, QuestionState
from monitor.jobs import leases
from monitor.jobs.outbox import queue_of

MOST_WAITING = 5
"""Questions about one alert that wait at the same time."""
MAX_ATTEMPTS = 3
"""Tries that ended by a crash after which a question is given up."""


def ask(
    session: Session, row: AlertRow, diff: Diff, asked: Asked, actor: str, now: float
) -> Question | Refusal:
    """Queue a question about an alert and its comparison `diff`; why not, where too many wait."""
    waiting = active_questions(session, row)
    if len(waiting) >= MOST_WAITING:
        return Refusal(
            f"{len(waiting)} questions about this alert wait already; ask when one is answered"
        )
    for other in waiting:
        if other.diff_id == diff.id and _is_one(asked, ASKED.validate_json(other.asked)):
            return Refusal(
                f"{subject_in_words(asked)}: question {other.id} asks that already, and is "
                f"{other.state}"
            )
    question = Question(
        alert_id=row.id,
        diff_id=diff.id,
        queue=queue_of(diff.probe_only),
        asked=asked.model_dump_json(),
        asked_by=actor,
        asked_at=now,
        state=QuestionState.QUEUED,
        not_before=now,
    )
    session.add(question)
    session.flush()
    _record(session, question, "none", actor, question.asked, now)
    _tell(session, question, Kind.QUESTION, now)
    return question


def _is_one(asked: Asked, other: Asked) -> bool:
    """Whether one answer is enough: trainings take hours, whatever their number."""
    if isinstance(asked, PromptAsked):
        return False
    return asked == other or (isinstance(asked, SeedsAsked) and isinstance(other, SeedsAsked))


def active_questions(session: Session, row: AlertRow) -> Sequence[Question]:
    """Those about one alert that are not answered yet, the first one first."""
    return session.scalars(
        select(Question)
        .where(Question.alert_id == row.id, Question.state.in_(UNANSWERED))
        .order_by(Question.id)
    ).all()


def questions_of(session: Session, row: AlertRow) -> Sequence[Question]:
    """All questions about one alert, the first one first."""
    return session.scalars(select(Question).filter_by(alert_id=row.id).order_by(Question.id)).all()


def claim_question(
    session: Session, now: float, owner: str, lease_seconds: float, queue: str | None = None
) -> Question | None:
    """Claim the question that has waited longest, in `queue` where one is named; None when nothing
    is due. One whose worker is gone is taken up again, or given up."""
    lost = leases.abandoned(session, Question, now)
    for question in session.scalars(select(Question).where(lost)).all():
        if question.cancelled_by is not None:
            end_cancelled(session, question.id, question.fence, now)
        elif question.attempt >= MAX_ATTEMPTS:
            reason = f"given up: {question.attempt} processes died while working on it"
            fail_question(session, question.id, question.fence, reason, now)
    waits = and_(Question.state == QuestionState.QUEUED, leases.is_due(Question, now))
    first = select(Question.id).where(or_(waits, lost)).order_by(Question.id).limit(1)
    if queue is not None:
        first = first.where(Question.queue == queue)
    return leases.claim(session, Question, first.scalar_subquery(), now, owner, lease_seconds)


def renew_question(
    session: Session, question_id: int, fence: int, now: float, lease_seconds: float
) -> str | None:
    """Keep the claim; why the question is to be cancelled, None if it isn't. Raises
    LeaseLostError."""
    leases.write(session, Question, question_id, fence, lease_until=now + lease_seconds)
    return session.scalar(select(Question.cancel_reason).where(Question.id == question_id))


def cancel_question(
    session: Session, question: Question, actor: str, reason: str, now: float
) -> Refusal | None:
    """Have `question` cancelled for `actor`: at once if it is queued, by whoever answers it
    otherwise. Why not, where it has ended."""
    if question.state not in UNANSWERED:
        return Refusal(f"question {question.id} is {question.state} already")
    if question.cancelled_by is not None:
        return Refusal(f"question {question.id} is to be cancelled already", question.cancelled_by)
    question.cancelled_by, question.cancel_reason = actor, reason
    before = question.state
    if before == QuestionState.QUEUED:
        question.state, question.error = QuestionState.CANCELLED, _cancelled(question)
        question.finished_at = now
        session.flush()
        _record(session, question, before, actor, reason, now)
        _tell(session, question, Kind.ANSWER, now)
    else:
        session.flush()
        _record(session, question, before, actor, f"to be cancelled: {reason}", now)
    return None


def cancel_idle(session: Session, now: float) -> None:
    """Cancel what was asked about alerts that have ended since: nobody waits for it."""
    idle = (
        select(Question, AlertRow.state)
        .join(AlertRow, AlertRow.id == Question.alert_id)
        .where(
            Question.state.in_(UNANSWERED),
            Question.cancelled_by.is_(None),
            AlertRow.state.not_in(UNRESOLVED),
        )
        .order_by(Question.id)
    )
    for question, state in session.execute(idle).all():
        cancel_question(session, question, LATENTWATCH, f"the alert is {state}", now)


def end_cancelled(session: Session, question_id: int, fence: int, now: float) -> None:
    """End a running question whose cancelling was asked for. Raises LeaseLostError."""
    question = session.get_one(Question, question_id, populate_existing=True)
    error = _cancelled(question)
    state = QuestionState.CANCELLED
    _close(session, question_id, fence, now, error, state=state, error=error)


def _cancelled(question: Question) -> str:
    return f"cancelled by {question.cancelled_by}: {question.cancel_reason}"


def release_question(session: Session, question_id: int, fence: int, now: float) -> None:
    """Give it back to the queue, as if it had not been claimed. Raises LeaseLostError."""
    _requeue(session, question_id, fence, now, attempt=Question.attempt - 1)


def retry_question(session: Session, question_id: int, fence: int, reason: str, now: float) -> None:
    """End a try that crashed: the next one waits; after MAX_ATTEMPTS the question has failed.
    Raises LeaseLostError."""
    question = session.get_one(Question, question_id, populate_existing=True)
    attempt = question.attempt
    if attempt >= MAX_ATTEMPTS and question.cancelled_by is None:
        told = f"given up after {attempt} tries: {reason}"
        fail_question(session, question_id, fence, told, now)
    else:
        later = now + leases.wait_after(attempt)
        _requeue(session, question_id, fence, now, error=reason, not_before=later)


def answer_question(
    session: Session, question_id: int, fence: int, answered: Answered, now: float
) -> None:
    """Store the answer and have the alert's threads told. Raises LeaseLostError."""
    text = answered.model_dump_json()
    state = QuestionState.ANSWERED
    _close(session, question_id, fence, now, text, state=state, answer=text, error=None)


def fail_question(session: Session, question_id: int, fence: int, reason: str, now: float) -> None:
    """End it without an answer. Raises LeaseLostError."""
    _close(session, question_id, fence, now, reason, state=QuestionState.FAILED, error=reason)


def resend(session: Session, question_ids: Sequence[int]) -> None:
    """Have a worker woken again for each of these."""
    session.execute(update(Question).where(Question.id.in_(question_ids)).values(sent_at=None))


def _requeue(session: Session, question_id: int, fence: int, now: float, **values: object) -> None:
    question = session.get_one(Question, question_id, populate_existing=True)
    if question.cancelled_by is not None:
        end_cancelled(session, question_id, fence, now)
        return
    values |= {"state": QuestionState.QUEUED, "sent_at": None} | leases.NOBODY
    leases.write(session, Question, question_id, fence, **values)


def _close(
    session: Session, question_id: int, fence: int, now: float, said: str, **values: object
) -> None:
    values |= {"finished_at": now} | leases.NOBODY
    leases.write(session, Question, question_id, fence, **values)
    question = session.get_one(Question, question_id, populate_existing=True)
    _record(session, question, QuestionState.RUNNING, LATENTWATCH, said, now)
    _tell(session, question, Kind.ANSWER, now)


def _record(
    session: Session, question: Question, before: str, actor: str, said: str, now: float
) -> None:
    # A subject of its own: the rows of the alert itself are its revisions, one by one.
    row = session.get_one(AlertRow, question.alert_id)
    subject = f"{subject_of(row)}:question:{question.id}"
    record(session, before, question.state, actor=actor, reason=said, now=now, subject=subject)


def _tell(session: Session, question: Question, kind: Kind, now: float) -> None:
    """In every thread of the alert; what is said there is made when it is sent."""
    row, key, text = (
        session.get_one(AlertRow, question.alert_id),
        f"{kind}{question.id}",
        str(question.id),
    )
    for message in messages_of(session, row):
        if message.kind == Kind.ALERT:
            add_message(session, row, message.channel, kind, key, now, message, text=text)
