"""The queue of diffs: claims with leases and fences, and what a result does to the version.

A row of `diffs` is the truth about a job. Whoever claims it gets a fence, the number of the claim,
and writes only as long as nobody has claimed it since. All functions work in the caller's
transaction; `now` is in seconds since the epoch.
"""

import json

from sqlalchemy import Select, and_, or_, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from monitor.errors import LeaseLostError
from monitor.lineage import LATENTWATCH, move
from monitor.owner import is_dead
from monitor.schema import Diff, DiffState, Line, Trust, Version
from monitor.settlement import OUTCOMES, settle

MAX_ATTEMPTS = 5
"""Dead processes after which a diff is given up, until it is queued again or asked for."""

_ACTIVE = (DiffState.QUEUED, DiffState.RUNNING)


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
    session.execute(
        insert(Diff)
        .values(
            **key,
            probe_only=base.weights_digest == candidate.weights_digest,
            state=DiffState.QUEUED,
            attempt=0,
            fence=0,
            queued_at=now,
        )
        .on_conflict_do_nothing()
    )
    diff = session.scalars(select(Diff).filter_by(**key)).one()
    session.refresh(diff)
    if is_retriable(diff):
        # A verdict of what was measured before the failure stays until there is another one.
        diff.state, diff.attempt, diff.error, diff.queued_at = DiffState.QUEUED, 0, None, now
    if base.state == Trust.TRUSTED:
        again = (Trust.PASSED, Trust.UNDECIDED) if diff.state in _ACTIVE else (Trust.UNDECIDED,)
        if candidate.state in (Trust.NEW, *again):
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
    """Claim the oldest diff that is queued or whose owner is gone; None when there is none.

    An owner is gone when its lease has run out, or at once when it was a process of this host and
    is dead. `owner` is `monitor.owner.this_process()`; `diff_id` asks for that diff only, however
    many processes have died over it.
    """
    abandoned = and_(
        Diff.state == DiffState.RUNNING,
        or_(Diff.lease_until <= now, Diff.owner.in_(_dead_owners(session))),
    )
    wanted = [or_(Diff.state == DiffState.QUEUED, abandoned)]
    if diff_id is not None:
        wanted.append(Diff.id == diff_id)
    else:
        _give_up(session, select(Diff).where(abandoned, Diff.attempt >= MAX_ATTEMPTS), now)
    oldest = select(Diff.id).where(*wanted).order_by(Diff.queued_at, Diff.id).limit(1)
    return session.scalar(
        update(Diff)
        .where(Diff.id == oldest.scalar_subquery())
        .values(
            state=DiffState.RUNNING,
            owner=owner,
            lease_until=now + lease_seconds,
            fence=Diff.fence + 1,
            attempt=Diff.attempt + 1,
        )
        .returning(Diff)
        .execution_options(populate_existing=True, synchronize_session=False)
    )


def heartbeat(
    session: Session,
    diff_id: int,
    fence: int,
    now: float,
    lease_seconds: float,
    stage: str | None = None,
) -> None:
    """Renew the lease and note the stage. Raises LeaseLostError."""
    noted = {} if stage is None else {"stage": stage}
    _write(session, diff_id, fence, lease_until=now + lease_seconds, **noted)


def release(session: Session, diff_id: int, fence: int) -> None:
    """Give a claimed diff back to the queue, as if it had not been claimed. Raises LeaseLostError.

    For who stops of its own accord: only processes that died count as attempts.
    """
    values = {"state": DiffState.QUEUED, "owner": None, "lease_until": None, "stage": None}
    _write(session, diff_id, fence, attempt=Diff.attempt - 1, **values)


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


def _close(session: Session, diff_id: int, fence: int, now: float, **values: object) -> None:
    _write(
        session, diff_id, fence, finished_at=now, owner=None, lease_until=None, stage=None, **values
    )
    settle(session, session.get_one(Diff, diff_id, populate_existing=True), now)


def _write(session: Session, diff_id: int, fence: int, **values: object) -> None:
    written = session.scalar(
        update(Diff)
        .where(Diff.id == diff_id, Diff.fence == fence, Diff.state == DiffState.RUNNING)
        .values(**values)
        .returning(Diff.id)
    )
    if written is None:
        raise LeaseLostError(f"diff {diff_id}: another process has taken it over")


def _dead_owners(session: Session) -> list[str]:
    owners = session.scalars(
        select(Diff.owner).where(Diff.state == DiffState.RUNNING, Diff.owner.is_not(None))
    )
    return [owner for owner in owners if owner is not None and is_dead(owner)]
