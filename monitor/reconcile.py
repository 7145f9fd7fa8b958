"""Sets right what died or got lost: diffs whose worker is gone, and messages that never came.

`decide` is pure; `reconcile` reads rows, has it decide, and writes in one transaction. One process
at a time does so (`monitor.leader`).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from monitor.jobs import LONGEST_LEASE_SECONDS, dead_owners, retry_later
from monitor.leader import RECONCILER, lead
from monitor.moments import has_come, has_come_sql
from monitor.outbox import LONGEST_WAIT_SECONDS
from monitor.owner import this_process
from monitor.schema import Diff, DiffState, Outgoing

LEAD_SECONDS = 60.0
LOST_AFTER_SECONDS = 60.0
"""How long a sent message may stay without effect before it is asked whether it got lost."""


class Running(NamedTuple):
    """A diff that somebody claimed."""

    diff_id: int
    fence: int
    stage: str | None
    lease_until: float
    owner_is_dead: bool


class Waiting(NamedTuple):
    """A diff that is queued and due, and for which a message was sent."""

    diff_id: int
    queue: str
    sent_at: float


class Abandoned(NamedTuple):
    """A diff to be tried again, or given up, because its worker is gone."""

    diff_id: int
    fence: int
    reason: str


class Decisions(NamedTuple):
    """What there is to be done."""

    abandoned: list[Abandoned]
    resend: list[int]
    """Ids of diffs."""


def decide(
    running: Sequence[Running],
    waiting: Sequence[Waiting],
    depths: Mapping[str, int],
    now: float,
) -> Decisions:
    """What to do at the time `now`. `depths` are the messages in each queue, where known.

    A message counts as lost when it was sent some time ago and its queue holds fewer messages than
    diffs wait for one; then as many are sent again, the oldest first. Sending once too often is
    harmless.
    """
    abandoned = [
        Abandoned(
            row.diff_id,
            row.fence,
            f"its worker {'died' if row.owner_is_dead else 'was not heard of any more'} "
            f"during {row.stage or 'the start'}",
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
            resend += [row.diff_id for row in old[: len(here) - depth]]
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
        retry_later(session, one.diff_id, one.fence, one.reason, now)
    session.execute(
        update(Outgoing).where(Outgoing.diff_id.in_(decisions.resend)).values(sent_at=None)
    )
    return decisions


def _running(session: Session) -> list[Running]:
    dead = set(dead_owners(session))
    return [
        Running(diff.id, diff.fence, diff.stage, diff.lease_until or 0.0, diff.owner in dead)
        for diff in session.scalars(select(Diff).filter_by(state=DiffState.RUNNING))
    ]


def _waiting(session: Session, now: float) -> list[Waiting]:
    rows = session.execute(
        select(Outgoing.diff_id, Outgoing.queue, Outgoing.sent_at)
        .join(Diff, Diff.id == Outgoing.diff_id)
        .where(
            Diff.state == DiffState.QUEUED, has_come_sql(Diff.not_before, now, LONGEST_WAIT_SECONDS)
        )
        .where(Outgoing.sent_at.is_not(None))
    )
    return [Waiting(diff_id, queue, sent_at or 0.0) for diff_id, queue, sent_at in rows]
