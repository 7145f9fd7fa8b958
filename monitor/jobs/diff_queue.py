"""The queue of diffs: which comparisons wait, each of them once.

A row of `diffs` is the truth about a diff. All functions work in the caller's transaction; `now` is
in seconds since the epoch.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from monitor.database.schema import Diff, DiffState, Line, Trust, Version
from monitor.jobs.diff_endings import ACTIVE
from monitor.jobs.outbox import wake
from monitor.jobs.settlement import settle
from monitor.lineage.trust import LATENTWATCH, move


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
    # No other transaction is under way (monitor.database.opening), so nobody can add the row.
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
        diff.not_before, diff.cancel_reason, diff.passed_on_at = now, None, None
        session.flush()
        wake(session, diff)
    if base.state == Trust.TRUSTED:
        again = (Trust.PASSED, Trust.UNDECIDED) if diff.state in ACTIVE else (Trust.UNDECIDED,)
        if candidate.state in (Trust.NEW, Trust.SUPERSEDED, *again):
            reason = f"compared with {base.name}"
            move(session, candidate, Trust.CHECKING, actor=LATENTWATCH, reason=reason, now=now)
            settle(session, diff, now)
    return diff


def is_retriable(diff: Diff) -> bool:
    """Whether `diff` has ended by a failure, with a verdict or without one."""
    ended = diff.state in (DiffState.FAILED, DiffState.DONE)
    return ended and (diff.state == DiffState.FAILED or diff.error is not None)
