"""What is queued, what runs and how far it is, who is at work, and what is unchecked longest."""

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from alerts.question import ASKED, subject_in_words
from monitor.database.schema import (
    UNANSWERED,
    UNCHECKED,
    Diff,
    DiffState,
    Line,
    Outgoing,
    Question,
    QuestionState,
    Trust,
    Version,
    WorkerRow,
)
from monitor.jobs.clocks import wrong_clocks
from monitor.jobs.progress import Step
from monitor.jobs.readings import Readings
from monitor.jobs.roster import SILENT_AFTER_SECONDS
from monitor.lineage.overview import line_rows, refused_pushes


class QueueRow(NamedTuple):
    """A queue: how many diffs and questions are due, and how many wait after a try that crashed."""

    name: str
    due: int
    delayed: int


class RunningRow(NamedTuple):
    """A diff that is compared now, or a question about one that is answered now."""

    name: str
    stage: str
    step: Step | None
    readings: Readings | None
    """None while nothing is compared yet."""
    attempt: int
    owner: str


class QuestionRow(NamedTuple):
    """A question about an alert that is not answered yet."""

    id: int
    what: str
    state: str
    """`queued`, `running`, or that it is to be cancelled."""
    asked_by: str
    asked_at: float


class Unchecked(NamedTuple):
    """A version about which nothing is known yet."""

    name: str
    state: str
    since: float


class Status(NamedTuple):
    """The service at one moment."""

    queues: list[QueueRow]
    delayed: dict[str, int]
    """Why diffs wait for another try, and how many of them for each reason."""
    running: list[RunningRow]
    questions: list[QuestionRow]
    workers: list[WorkerRow]
    oldest_unchecked: Unchecked | None
    unchecked: dict[str, dict[str, int]]
    """By line and state, how many versions nobody has checked; skipped ones are among them, and
    refused pushes count as undecided."""
    unread: dict[str, str]
    """The lines that could not be looked at, or of which nothing could be queued, and why."""
    wrong_clocks: dict[str, float]
    """Hosts by the seconds that their clocks are ahead of the database's, where that matters."""


def status_of(session: Session, now: float) -> Status:
    """The status at the time `now`, in seconds since the epoch."""
    return Status(
        _queues(session, now),
        _delayed(session),
        _running(session),
        _questions(session),
        _workers(session),
        _oldest(session),
        _unchecked(session),
        {
            line.name: line.look_problem
            for line in session.scalars(select(Line).order_by(Line.name))
            if line.look_problem is not None
        },
        wrong_clocks(session),
    )


def _queues(session: Session, now: float) -> list[QueueRow]:
    counts: dict[str, list[int]] = {}
    diffs = (
        select(Outgoing.queue, Diff.not_before)
        .join(Diff, Diff.id == Outgoing.diff_id)
        .where(Diff.state == DiffState.QUEUED)
    )
    questions = select(Question.queue, Question.not_before).where(
        Question.state == QuestionState.QUEUED
    )
    for queue, not_before in (*session.execute(diffs), *session.execute(questions)):
        counts.setdefault(queue, [0, 0])[not_before > now] += 1
    return [QueueRow(queue, *counts[queue]) for queue in sorted(counts)]


def _delayed(session: Session) -> dict[str, int]:
    reasons = (
        select(Diff.error, func.count())
        .where(Diff.state == DiffState.QUEUED, Diff.error.is_not(None))
        .group_by(Diff.error)
        .order_by(func.count().desc(), Diff.error)
    )
    return {reason: count for reason, count in session.execute(reasons) if reason is not None}


def _running(session: Session) -> list[RunningRow]:
    named = (
        select(Diff, Line.name, Version.name)
        .join(Line, Line.id == Diff.line_id)
        .join(
            Version,
            (Version.line_id == Diff.line_id) & (Version.content_digest == Diff.candidate_digest),
        )
    )
    rows = session.execute(named.where(Diff.state == DiffState.RUNNING).order_by(Diff.id))
    asked = session.execute(
        named.join(Question, Question.diff_id == Diff.id)
        .add_columns(Question)
        .where(Question.state == QuestionState.RUNNING)
        .order_by(Question.id)
    )
    answered = [
        RunningRow(
            f"{line}: {version}",
            f"question {question.id}",
            None,
            None,
            question.attempt,
            question.owner or "",
        )
        for _, line, version, question in asked
    ]
    compared = [
        RunningRow(
            f"{line}: {version}",
            diff.stage or "starting",
            None if diff.progress is None else Step.of_json(diff.progress),
            None if diff.readings is None else Readings.of_json(diff.readings),
            diff.attempt,
            diff.owner or "",
        )
        for diff, line, version in rows
    ]
    return [*answered, *compared]


def _questions(session: Session) -> list[QuestionRow]:
    rows = session.scalars(
        select(Question).where(Question.state.in_(UNANSWERED)).order_by(Question.id)
    )
    return [
        QuestionRow(
            row.id,
            subject_in_words(ASKED.validate_json(row.asked)),
            row.state if row.cancelled_by is None else "to be cancelled",
            row.asked_by,
            row.asked_at,
        )
        for row in rows
    ]


def _workers(session: Session) -> list[WorkerRow]:
    return list(session.scalars(select(WorkerRow).order_by(WorkerRow.name)))


def _unchecked(session: Session) -> dict[str, dict[str, int]]:
    found = {
        row.name: {str(state): row.states[state] for state in UNCHECKED if state in row.states}
        for row in line_rows(session)
    }
    return {name: states for name, states in found.items() if states}


def is_alive(worker: WorkerRow, now: float) -> bool:
    """Whether it told of itself lately."""
    return now - worker.seen_at <= SILENT_AFTER_SECONDS


def _oldest(session: Session) -> Unchecked | None:
    waiting = (
        select(Line.name, Version.name, Version.state, Version.registered_at)
        .join(Line, Line.id == Version.line_id)
        .where(Version.state.in_(UNCHECKED))
        .order_by(Version.registered_at)
        .limit(1)
    )
    found = [
        Unchecked(f"{line}: {name}", state, since)
        for line, name, state, since in session.execute(waiting)
    ]
    for line in session.scalars(select(Line)).all():
        found += [
            Unchecked(f"{line.name}: {push.name}", Trust.UNDECIDED, push.seen_at)
            for push in refused_pushes(session, line)
        ]
    return min(found, key=lambda one: one.since, default=None)
