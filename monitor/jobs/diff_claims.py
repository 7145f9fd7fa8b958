"""Claims on diffs: which one comes first, and keeping it while it is compared.

Claims have leases and fences (`monitor.jobs.leases`). All functions work in the caller's
transaction; `now` is in seconds since the epoch.
"""

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from monitor.database.schema import Diff, DiffState, Version
from monitor.jobs import leases
from monitor.jobs.diff_endings import MAX_ATTEMPTS, cancelled, fail
from monitor.jobs.progress import Step
from monitor.jobs.readings import Readings


def claim_next(
    session: Session, now: float, owner: str, lease_seconds: float, diff_id: int | None = None
) -> Diff | None:
    """Claim a diff that is queued or whose owner is gone; None when there is none.

    Of each line the newest version comes first; of two lines the one that has waited longer.

    An owner is gone when its lease has run out, or at once when it was a process of this host and
    is dead. `owner` is `monitor.owner.this_process()`; `diff_id` asks for that diff only, however
    many processes have died over it.
    """
    abandoned = leases.abandoned(session, Diff, now)
    for diff in session.scalars(
        select(Diff).where(abandoned, Diff.cancel_reason.is_not(None))
    ).all():
        cancelled(session, diff.id, diff.fence, now)
    wanted = [or_(Diff.state == DiffState.QUEUED, abandoned)]
    if diff_id is not None:
        wanted.append(Diff.id == diff_id)
    else:
        wanted.append(leases.is_due(Diff, now))
        _give_up(session, select(Diff).where(abandoned, Diff.attempt >= MAX_ATTEMPTS), now)
    return _claim_first(session, and_(*wanted), now, owner, lease_seconds)


def claim_due(
    session: Session,
    diff_id: int,
    now: float,
    owner: str,
    lease_seconds: float,
    recipe_digest: str | None = None,
) -> Diff | None:
    """Claim what comes first in the queue of the diff `diff_id`; None when nothing there is due.

    For who was woken by a message: each wakes one worker, and which diff it names does not matter.
    What was queued under another recipe than `recipe_digest`, that of the worker, comes last: it
    could only pass it on, again and again.
    """
    queue = select(Diff.probe_only).where(Diff.id == diff_id).scalar_subquery()
    due = and_(
        Diff.probe_only == queue,
        Diff.state == DiffState.QUEUED,
        leases.is_due(Diff, now),
    )
    return _claim_first(session, due, now, owner, lease_seconds, recipe_digest)


def _claim_first(
    session: Session,
    wanted: ColumnElement[bool],
    now: float,
    owner: str,
    lease_seconds: float,
    recipe_digest: str | None = None,
) -> Diff | None:
    own_first = () if recipe_digest is None else (Diff.recipe_digest != recipe_digest,)
    newest_first = func.dense_rank().over(
        partition_by=Diff.line_id, order_by=(Version.published_at.desc(), Version.id.desc())
    )
    first = (
        select(Diff.id)
        .join(
            Version,
            and_(Version.line_id == Diff.line_id, Version.content_digest == Diff.candidate_digest),
        )
        .where(wanted)
        .order_by(*own_first, newest_first, Diff.queued_at, Diff.id)
        .limit(1)
    )
    return leases.claim(session, Diff, first.scalar_subquery(), now, owner, lease_seconds)


def heartbeat(
    session: Session,
    diff_id: int,
    fence: int,
    now: float,
    lease_seconds: float,
    stage: str | None = None,
    step: Step | None = None,
    readings: Readings | None = None,
) -> str | None:
    """Renew the lease and note what is done, and with how much memory; why the diff is to be
    cancelled, None if it isn't.

    Raises LeaseLostError.
    """
    noted: dict[str, object] = {} if stage is None else {"stage": stage}
    noted["progress"] = None if step is None else step.to_json()
    noted["readings"] = None if readings is None else readings.to_json()
    leases.write(session, Diff, diff_id, fence, lease_until=now + lease_seconds, **noted)
    return session.scalar(select(Diff.cancel_reason).where(Diff.id == diff_id))


def _give_up(session: Session, lost: Select[Diff], now: float) -> None:
    for diff in session.scalars(lost).all():
        reason = f"given up: {diff.attempt} processes died while working on it"
        fail(session, diff.id, diff.fence, reason, now)
