"""The queue of diffs: claims with leases and fences, and what a result does to the version.

A row of `diffs` is the truth about a job; claims are those of `monitor.leases`. All functions work
in the caller's transaction; `now` is in seconds since the epoch.
"""

import json

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from monitor import leases
from monitor.alerting import diff_ended
from monitor.lineage import LATENTWATCH, move
from monitor.outbox import forget, wake
from monitor.progress import Step
from monitor.readings import Readings
from monitor.schema import Diff, DiffState, Line, Trust, Version
from monitor.settlement import OUTCOMES, settle

MAX_ATTEMPTS = 5
"""Tries that ended by a crash after which a diff is given up, until it is queued again or asked
for."""

_ACTIVE = (DiffState.QUEUED, DiffState.RUNNING)
_NOBODY = leases.NOBODY | dict[str, object].fromkeys(("stage", "progress", "readings"))


def queue_diff(
    session: Session,
    line: Line,
    base: Version,
    candidate: Version,
    recipe_digest: str,
    now: float,
) -> Diff:
    """The diff of this key, queued if it is new, had failed, or its verdict came of a failure.

    Against a trusted base it decides the candidate's state, which becomes `checking`; against any
    other base it is a mere comparison. Raises ValueError when both have the same content.
    """
    if base.content_digest == candidate.content_digest:
        raise ValueError(f"{candidate.name} has the same content as {base.name}")
    key = {
        "line_id": line.id,
        "base_digest": base.content_digest,
        "candidate_digest": candidate.content_digest,
        "recipe_digest": recipe_digest,
    }
    session.flush()
    # No other transaction is under way (monitor.database), so nobody can add the row in between.
    diff = session.scalars(select(Diff).filter_by(**key)).one_or_none()
    if diff is None:
        probe_only = base.weights_digest == candidate.weights_digest
        diff = Diff(**key, probe_only=probe_only, state=DiffState.QUEUED, queued_at=now)
        session.add(diff)
        session.flush()
        wake(session, diff)
    session.refresh(diff)
    if is_retriable(diff) or diff.state == DiffState.CANCELLED:
        # A verdict of what was measured before the failure stays until there is another one.
        diff.state, diff.attempt, diff.error, diff.queued_at = DiffState.QUEUED, 0, None, now
        diff.not_before, diff.cancel_reason = now, None
        session.flush()
        wake(session, diff)
    if base.state == Trust.TRUSTED:
        again = (Trust.PASSED, Trust.UNDECIDED) if diff.state in _ACTIVE else (Trust.UNDECIDED,)
        if candidate.state in (Trust.NEW, Trust.SUPERSEDED, *again):
            reason = f"compared with {base.name}"
            move(session, candidate, Trust.CHECKING, actor=LATENTWATCH, reason=reason, now=now)
            settle(session, diff, now)
    return diff


def is_retriable(diff: Diff) -> bool:
    """Whether `diff` has ended by a failure, with a verdict or without one."""
    ended = diff.state in (DiffState.FAILED, DiffState.DONE)
    return ended and (diff.state == DiffState.FAILED or diff.error is not None)


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
    session: Session, diff_id: int, now: float, owner: str, lease_seconds: float
) -> Diff | None:
    """Claim what comes first in the queue of the diff `diff_id`; None when nothing there is due.

    For who was woken by a message: each wakes one worker, and which diff it names does not matter.
    """
    queue = select(Diff.probe_only).where(Diff.id == diff_id).scalar_subquery()
    due = and_(
        Diff.probe_only == queue,
        Diff.state == DiffState.QUEUED,
        leases.is_due(Diff, now),
    )
    return _claim_first(session, due, now, owner, lease_seconds)


def _claim_first(
    session: Session, wanted: ColumnElement[bool], now: float, owner: str, lease_seconds: float
) -> Diff | None:
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
        .order_by(newest_first, Diff.queued_at, Diff.id)
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


def release(session: Session, diff_id: int, fence: int, now: float) -> None:
    """Give a claimed diff back to the queue, as if it had not been claimed. Raises LeaseLostError.

    For who stops of its own accord: only tries that crashed count as attempts.
    """
    _requeue(session, diff_id, fence, now, attempt=Diff.attempt - 1)


def retry_later(session: Session, diff_id: int, fence: int, reason: str, now: float) -> None:
    """End a try that crashed: the next one waits, longer every time. Raises LeaseLostError.

    After MAX_ATTEMPTS the diff fails with the reason; if it was to be cancelled, it is.
    """
    diff = session.get_one(Diff, diff_id, populate_existing=True)
    if diff.attempt >= MAX_ATTEMPTS and diff.cancel_reason is None:
        fail(session, diff_id, fence, f"given up after {diff.attempt} tries: {reason}", now)
    else:
        wait = leases.wait_after(diff.attempt)
        _requeue(session, diff_id, fence, now, error=reason, not_before=now + wait)


def request_cancel(session: Session, diff_id: int, reason: str, now: float) -> None:
    """Have a diff cancelled: at once if it is queued, by whoever runs it otherwise.

    A diff that has ended stays as it is. `reason` says who asked for it, too.
    """
    diff = session.get_one(Diff, diff_id, populate_existing=True)
    if diff.state not in _ACTIVE:
        return
    diff.cancel_reason = reason
    if diff.state == DiffState.QUEUED:
        diff.state, diff.error, diff.finished_at = DiffState.CANCELLED, _cancelled_by(reason), now
        session.flush()
        _ended(session, diff_id, now)


def cancelled(session: Session, diff_id: int, fence: int, now: float) -> None:
    """End a running diff whose cancelling was asked for. Raises LeaseLostError."""
    reason = session.scalar(select(Diff.cancel_reason).where(Diff.id == diff_id)) or "no reason"
    _close(session, diff_id, fence, now, state=DiffState.CANCELLED, error=_cancelled_by(reason))


def _cancelled_by(reason: str) -> str:
    return f"cancelled: {reason}"


def finish(
    session: Session,
    diff_id: int,
    fence: int,
    verdict_json: str,
    now: float,
    error: str | None = None,
) -> None:
    """Store the verdict and move the candidate to it. Raises LeaseLostError.

    `verdict_json` is `latentwatch.verdict/1`. `error` is what kept the diff from being measured to
    its end; it can be queued again then. ValueError when it is no verdict, or a pass with an error.
    """
    outcome = json.loads(verdict_json).get("verdict")
    if outcome not in OUTCOMES:
        raise ValueError(f"a verdict must be one of {', '.join(sorted(OUTCOMES))}")
    if error is not None and outcome == Trust.PASSED:
        raise ValueError(f"what ended by a failure can't have passed: {error}")
    _close(session, diff_id, fence, now, state=DiffState.DONE, verdict=verdict_json, error=error)


def fail(session: Session, diff_id: int, fence: int, reason: str, now: float) -> None:
    """End the diff without a verdict: the candidate is undecided. Raises LeaseLostError."""
    _close(session, diff_id, fence, now, state=DiffState.FAILED, error=reason)


def _give_up(session: Session, lost: Select[Diff], now: float) -> None:
    for diff in session.scalars(lost).all():
        reason = f"given up: {diff.attempt} processes died while working on it"
        fail(session, diff.id, diff.fence, reason, now)


def _requeue(session: Session, diff_id: int, fence: int, now: float, **values: object) -> None:
    if session.scalar(select(Diff.cancel_reason).where(Diff.id == diff_id)) is not None:
        cancelled(session, diff_id, fence, now)
        return
    leases.write(session, Diff, diff_id, fence, state=DiffState.QUEUED, **_NOBODY, **values)
    wake(session, session.get_one(Diff, diff_id, populate_existing=True))


def _close(session: Session, diff_id: int, fence: int, now: float, **values: object) -> None:
    leases.write(session, Diff, diff_id, fence, finished_at=now, **_NOBODY, **values)
    _ended(session, diff_id, now)


def _ended(session: Session, diff_id: int, now: float) -> None:
    forget(session, diff_id)
    diff = session.get_one(Diff, diff_id, populate_existing=True)
    settle(session, diff, now)
    diff_ended(session, diff, now)
