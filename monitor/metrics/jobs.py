"""Readings of the diffs, of those who compare them, and of the messages that wake them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session, aliased

from alerts.verdict import Verdict
from monitor.database.schema import Diff, DiffState, Outgoing, Trust, Version, WorkerRow
from monitor.jobs.clocks import clocks
from monitor.jobs.leases import held
from monitor.jobs.outbox import CPU, QUEUES, queue_of
from monitor.jobs.roster import SILENT_AFTER_SECONDS
from monitor.metrics.reading import Distribution, Reading, Spread

DUE_SINCE = case((Diff.not_before > Diff.queued_at, Diff.not_before), else_=Diff.queued_at)

MOST_STAGES = 40
"""Stages that are told apart; what a verdict names beyond is told as OTHER."""
OTHER = "other"
BY_QUEUE = ("job_duration_seconds", "job_turnaround_seconds")


def read_jobs(session: Session, now: float, has_broker: bool) -> Iterator[Reading]:
    """Diffs by state, what is due and worked on, and by which clocks; with a broker also who has
    signed in, and what the outbox has not sent."""
    counts: Counter[tuple[str, str]] = Counter()
    # By the fence, since the number of a try begins anew, and when they end: only then it is known
    # whether one was passed on, and a counter never falls.
    attempts: Counter[str] = Counter()
    for probe_only, state, number, tries in session.execute(
        select(
            Diff.probe_only, Diff.state, func.count(), func.sum(Diff.fence - Diff.passed_on)
        ).group_by(Diff.probe_only, Diff.state)
    ):
        counts[queue_of(probe_only), state] += number
        under_way = number if state == DiffState.RUNNING else 0
        attempts[queue_of(probe_only)] += (tries or 0) - under_way
    undecided = {queue_of(row.probe_only): row.number for row in session.execute(_undecided())}
    for queue in QUEUES:
        for state in DiffState:
            yield Reading("jobs", (queue, state), counts[queue, state])
        yield Reading("jobs_undecided", (queue,), undecided.get(queue, 0))
        yield Reading("job_attempts", (queue,), attempts[queue])
        since = session.scalar(
            select(func.min(DUE_SINCE)).where(
                Diff.state == DiffState.QUEUED,
                Diff.not_before <= now,
                Diff.probe_only.is_(queue == CPU),
            )
        )
        yield Reading("job_oldest_due_seconds", (queue,), 0.0 if since is None else now - since)
    yield Reading("claims_held", (), held(session, now))
    for clock in clocks(session):
        yield Reading("host_clock_ahead_seconds", (clock.host,), clock.ahead)
    if has_broker:
        yield from _workers(session, now)


def _undecided() -> Select[bool, int]:
    """Failed diffs of versions that somebody has still to decide about, and of which no later one
    has given a verdict."""
    later = aliased(Diff)
    answered = select(later.id).where(
        later.line_id == Diff.line_id,
        later.base_digest == Diff.base_digest,
        later.candidate_digest == Diff.candidate_digest,
        later.state == DiffState.DONE,
        later.finished_at >= Diff.finished_at,
    )
    return (
        select(Diff.probe_only, func.count().label("number"))
        .join(
            Version,
            (Version.line_id == Diff.line_id) & (Version.content_digest == Diff.candidate_digest),
        )
        .where(
            Diff.state == DiffState.FAILED,
            Version.state.in_((Trust.UNDECIDED, Trust.FLAGGED)),
            ~answered.exists(),
        )
        .group_by(Diff.probe_only)
    )


def _workers(session: Session, now: float) -> Iterator[Reading]:
    alive: Counter[str] = Counter()
    seen = select(WorkerRow.queues).where(WorkerRow.seen_at >= now - SILENT_AFTER_SECONDS)
    for queues in session.scalars(seen):
        alive.update(queues.split(","))
    for queue in QUEUES:
        yield Reading("workers_alive", (queue,), alive[queue])
    pending = session.scalar(
        select(func.min(DUE_SINCE))
        .join(Outgoing, Outgoing.diff_id == Diff.id)
        .where(Outgoing.sent_at.is_(None), Outgoing.not_before <= now)
    )
    yield Reading("outbox_oldest_pending_seconds", (), 0.0 if pending is None else now - pending)


class Ended:
    """The durations of diffs that were measured to their end, each once, by its id.

    Such a diff is never queued again, so its times stay as they are, and a restart counts the same.
    One that ended by a failure can be queued again, which changes them; it counts when it has been
    measured. Remembers what it has counted, so that a scrape reads only the verdicts that came
    since the last one."""

    def __init__(self) -> None:
        self._read: set[int] = set()
        self._stages = {OTHER}
        # From 0 on: where none has ended yet, a rule sees that none does.
        self._spreads = {(name, queue): Distribution() for name in BY_QUEUE for queue in QUEUES}

    def read(self, session: Session) -> Iterator[Spread]:
        """How long the diffs took, in all and by stage."""
        ended = select(Diff.id).where(
            Diff.state == DiffState.DONE, Diff.error.is_(None), Diff.verdict.is_not(None)
        )
        for diff_id in [one for one in session.scalars(ended) if one not in self._read]:
            diff = session.get_one(Diff, diff_id)
            with suppress(ValueError):  # `verdicts_unreadable` counts it
                self._count(diff)
            session.expunge(diff)
            self._read.add(diff_id)
        for (name, label), distribution in self._spreads.items():
            yield Spread(name, (label,), distribution)

    def _count(self, diff: Diff) -> None:
        queue = queue_of(diff.probe_only)
        timings = Verdict.model_validate_json(diff.verdict or "").timings
        for stage, seconds in timings.items():
            if stage not in self._stages and len(self._stages) == MOST_STAGES:
                stage = OTHER
            self._stages.add(stage)
            self._observe("job_stage_seconds", stage, seconds)
        self._observe("job_duration_seconds", queue, sum(timings.values()))
        if diff.finished_at is not None:
            self._observe("job_turnaround_seconds", queue, diff.finished_at - diff.queued_at)

    def _observe(self, name: str, label: str, seconds: float) -> None:
        self._spreads.setdefault((name, label), Distribution()).observe(seconds)
