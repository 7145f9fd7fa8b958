"""Claims with leases and fences, of whatever one process at a time works on.

Whoever claims a row gets a fence, the number of the claim, and writes only as long as nobody has
claimed it since. All functions work in the caller's transaction; `now` is in seconds since the
epoch.
"""

from typing import TypeVar

from sqlalchemy import ColumnElement, ScalarSelect, and_, func, or_, select, update
from sqlalchemy.orm import Session

from monitor.database.schema import Claimable, Diff, Question
from monitor.errors import LeaseLostError
from monitor.jobs.outbox import LONGEST_WAIT_SECONDS
from monitor.moments import doubled, has_come_sql
from monitor.owner import is_dead

BACKOFF_SECONDS = 30.0
"""Wait after the first try that crashed, doubled after every further one up to
LONGEST_WAIT_SECONDS."""
LONGEST_LEASE_SECONDS = 600.0
QUEUED, RUNNING = "queued", "running"

ClaimableT = TypeVar("ClaimableT", bound=Claimable)
NOBODY: dict[str, object] = {"owner": None, "lease_until": None}
"""What is written where a claim ends."""


def abandoned(session: Session, kind: type[Claimable], now: float) -> ColumnElement[bool]:
    """Whether whoever works on a row is gone: its lease has run out, or it was a process of this
    host and is dead."""
    return and_(
        kind.state == RUNNING,
        or_(
            has_come_sql(kind.lease_until, now, LONGEST_LEASE_SECONDS),
            kind.owner.in_(dead_owners(session, kind)),
        ),
    )


def is_due(kind: type[Claimable], now: float) -> ColumnElement[bool]:
    """Whether a row waits for no other time."""
    return has_come_sql(kind.not_before, now, LONGEST_WAIT_SECONDS)


def claim(
    session: Session,
    kind: type[ClaimableT],
    row_id: ScalarSelect[int],
    now: float,
    owner: str,
    lease_seconds: float,
) -> ClaimableT | None:
    """Claim the row that `row_id` finds; None where it finds none."""
    return session.scalar(
        update(kind)
        .where(kind.id == row_id)
        .values(
            state=RUNNING,
            owner=owner,
            lease_until=now + lease_seconds,
            fence=kind.fence + 1,
            attempt=kind.attempt + 1,
        )
        .returning(kind)
        .execution_options(populate_existing=True, synchronize_session=False)
    )


def write(
    session: Session, kind: type[Claimable], row_id: int, fence: int, **values: object
) -> None:
    """Write under a claim. Raises LeaseLostError."""
    written = session.scalar(
        update(kind)
        .where(kind.id == row_id, kind.fence == fence, kind.state == RUNNING)
        .values(**values)
        .returning(kind.id)
    )
    if written is None:
        name = kind.__name__.lower()
        raise LeaseLostError(f"{name} {row_id}: another process has taken it over")


def held(session: Session, now: float) -> int:
    """How many diffs and questions are worked on under a lease that is renewed."""
    counts = (
        select(func.count()).select_from(kind).where(kind.state == RUNNING, kind.lease_until > now)
        for kind in (Diff, Question)
    )
    return sum(session.scalars(count).one() for count in counts)


def wait_after(attempt: int) -> float:
    """Seconds until the next try, after the try number `attempt` has crashed."""
    return doubled(BACKOFF_SECONDS, attempt, LONGEST_WAIT_SECONDS)


def dead_owners(session: Session, kind: type[Claimable]) -> list[str]:
    """Owners of running rows that were processes of this host and are dead."""
    owners = session.scalars(
        select(kind.owner).where(kind.state == RUNNING, kind.owner.is_not(None))
    )
    return [owner for owner in owners if owner is not None and is_dead(owner)]
