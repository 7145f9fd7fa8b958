"""Sets right what died or got lost: diffs and questions whose worker is gone, and messages that
never came.

`decide` is pure; `reconcile` reads rows, has it decide, and writes in one transaction. One process
at a time does so (`monitor.jobs.leader`).
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from monitor.database.schema import Diff, DiffState, Outgoing, Question, QuestionState
from monitor.jobs.diff_endings import retry_later
from monitor.jobs.leader import RECONCILER, lead
from monitor.jobs.leases import LONGEST_LEASE_SECONDS, dead_owners, is_due
from monitor.jobs.questions import resend, retry_question
from monitor.moments import has_come
from monitor.owner import this_process

LEAD_SECONDS = 60.0
LOST_AFTER_SECONDS = 60.0
"""How long a sent message may stay without effect before it is asked whether it got lost."""


Kind = Literal["diff", "question"]


class Running(NamedTuple):
    """What somebody claimed."""

    id: int
    fence: int
    stage: str | None
    lease_until: float
    owner_is_dead: bool
    kind: Kind = "diff"


class Waiting(NamedTuple):
    """What is queued and due, and for which a message was sent."""

    id: int
    queue: str
    sent_at: float
    kind: Kind = "diff"


class Abandoned(NamedTuple):
    """What is to be tried again, or given up, because its worker is gone."""

    id: int
    fence: int
    reason: str
    kind: Kind


class Decisions(NamedTuple):
    """What there is to be done."""

    abandoned: list[Abandoned]
    resend: list[Waiting]


def decide(
    running: Sequence[Running],
    waiting: Sequence[Waiting],
    depths: Mapping[str, int],
    now: float,
) -> Decisions:
    """What to do at the time `now`. `depths` are the messages in each queue, where known.

    A message counts as lost when it was sent some time ago and its queue holds fewer messages than
    wait for one; then as many are sent again, the oldest first. Sending once too often is harmless.
    """
    abandoned = [
        Abandoned(
            row.id,
            row.fence,
            f"its worker {'died' if row.owner_is_dead else 'was not heard of any more'} "
            f"during {row.stage or 'the start'}",
            row.kind,
        )
        for row in running
        if row.owner_is_dead or has_come(row.lease_until, now, LONGEST_LEASE_SECONDS)
    ]
    resend = []
    for queue, depth in depths.items():
        here = [row for row in waiting if row.queue == queue]
        if len(here) > depth:
            old = [
                row
                for row in here
                if has_come(row.sent_at + LOST_AFTER_SECONDS, now, LOST_AFTER_SECONDS)
            ]
            old.sort(key=lambda row: row.sent_at)
            resend += old[: len(here) - depth]
    return Decisions(abandoned, resend)


def reconcile(
    session: Session, depths: Mapping[str, int], now: float, owner: str | None = None
) -> Decisions | None:
    """Decide and do it, in the caller's transaction; None when another process leads.

    `owner` is who does so, by default this process. What is to be sent again is sent by the next
    relay of the outbox.
    """
    if not lead(session, RECONCILER, owner or this_process(), now, LEAD_SECONDS):
        return None
    decisions = decide(_running(session), _waiting(session, now), depths, now)
    for one in decisions.abandoned:
        retry = retry_later if one.kind == "diff" else retry_question
        retry(session, one.id, one.fence, one.reason, now)
    lost = {
        kind: [row.id for row in decisions.resend if row.kind == kind] for kind in get_args(Kind)
    }
    session.execute(update(Outgoing).where(Outgoing.diff_id.in_(lost["diff"])).values(sent_at=None))
    resend(session, lost["question"])
    return decisions


def _running(session: Session) -> list[Running]:
    dead = set(dead_owners(session, Diff)) | set(dead_owners(session, Question))
    diffs = session.scalars(select(Diff).filter_by(state=DiffState.RUNNING))
    questions = session.scalars(select(Question).filter_by(state=QuestionState.RUNNING))
    return [
        *(Running(d.id, d.fence, d.stage, d.lease_until or 0.0, d.owner in dead) for d in diffs),
        *(
            Running(q.id, q.fence, None, q.lease_until or 0.0, q.owner in dead, "question")
            for q in questions
        ),
    ]


def _waiting(session: Session, now: float) -> list[Waiting]:
    diffs = session.execute(
        select(Outgoing.diff_id, Outgoing.queue, Outgoing.sent_at)
        .join(Diff, Diff.id == Outgoing.diff_id)
        .where(Diff.state == DiffState.QUEUED, is_due(Diff, now), Outgoing.sent_at.is_not(None))
    )
    questions = session.scalars(
        select(Question)
        .filter_by(state=QuestionState.QUEUED)
        .where(is_due(Question, now), Question.sent_at.is_not(None))
    )
    return [
        *(Waiting(diff_id, queue, sent_at or 0.0) for diff_id, queue, sent_at in diffs),
        *(Waiting(q.id, q.queue, q.sent_at or 0.0, "question") for q in questions),
    ]
