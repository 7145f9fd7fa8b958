"""Messages that wake workers: written with the change that they tell of, sent afterwards.

A message carries a diff's id and nothing else; whoever gets it has to claim the diff first. So it
may come twice, late, or for a diff that has ended, and nothing is lost when it does not come: what
is due and unsent is sent by the next relay, and `monitor.jobs.reconcile` notices what got lost.

A question about a diff wakes a worker by a message of the same form, since any message makes a
worker take what comes first in its queue.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import Session, sessionmaker

from monitor.database.schema import Diff, Outgoing, Question, QuestionState
from monitor.moments import has_come_sql

RowT = TypeVar("RowT", Outgoing, Question)

LONGEST_WAIT_SECONDS = 3600.0
"""That a diff waits for another try."""
GPU, CPU = "gpu", "cpu"
QUEUES = (GPU, CPU)
"""`gpu` for diffs that train, `cpu` for those that only probe."""


class Message(NamedTuple):
    """What is sent: which diff, to which queue."""

    diff_id: int
    queue: str


def queue_of(probe_only: bool) -> str:
    """The queue of a diff."""
    return CPU if probe_only else GPU


def wake(session: Session, diff: Diff) -> None:
    """Have a worker woken for `diff` when it is due; in the transaction that queues it."""
    row = session.scalar(select(Outgoing).filter_by(diff_id=diff.id))
    if row is None:
        row = Outgoing(diff_id=diff.id)
        session.add(row)
    row.queue = queue_of(diff.probe_only)
    row.not_before, row.sent_at = diff.not_before, None
    session.flush()


def forget(session: Session, diff_id: int) -> None:
    """Nobody has to be woken for this diff any more."""
    session.execute(delete(Outgoing).where(Outgoing.diff_id == diff_id))


def relay(
    sessions: sessionmaker[Session], send: Callable[[Message], None], now: float
) -> list[Message]:
    """Send what is due, and return it. Whatever `send` raises leaves the rest for the next time.

    Sends outside any transaction, and notes it afterwards: a message may be sent twice, never not
    at all.
    """
    with sessions() as session:
        due: list[Outgoing | Question] = [
            *session.scalars(_unsent(Question, now).filter_by(state=QuestionState.QUEUED)),
            *session.scalars(_unsent(Outgoing, now)),
        ]
    sent = []
    for row in due:
        message = Message(row.diff_id, row.queue)
        send(message)
        with sessions.begin() as session:
            kind = type(row)
            session.execute(
                update(kind)
                .where(kind.id == row.id, kind.not_before == row.not_before)
                .values(sent_at=now)
            )
        sent.append(message)
    return sent


def _unsent(kind: type[RowT], now: float) -> Select[RowT]:
    due = has_come_sql(kind.not_before, now, LONGEST_WAIT_SECONDS)
    return select(kind).where(kind.sent_at.is_(None), due).order_by(kind.id)
