"""How diffs end: by a result, a failure or a cancel, or for a while, until they are tried again.

What ends a diff also says what becomes of its version and of its alert. All functions work in the
caller's transaction; `now` is in seconds since the epoch.
"""

import json

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.wording import duration
from monitor.alerting.alerts import diff_ended
from monitor.database.schema import Diff, DiffState, Trust
from monitor.jobs import leases
from monitor.jobs.outbox import forget, wake
from monitor.jobs.settlement import OUTCOMES, settle

MAX_ATTEMPTS = 5
"""Tries that ended by a crash after which a diff is given up, until it is queued again or asked
for."""
PASS_ON_SECONDS, NOBODY_SECONDS = 30.0, 86_400.0

ACTIVE = (DiffState.QUEUED, DiffState.RUNNING)
"""States in which a diff has not ended."""
_NOBODY = leases.NOBODY | dict[str, object].fromkeys(("stage", "progress", "readings"))


def release(session: Session, diff_id: int, fence: int, now: float) -> None:
    """Give a claimed diff back to the queue, as if it had not been claimed. Raises LeaseLostError.

    For who stops of its own accord: only tries that crashed count as attempts.
    """
    _requeue(session, diff_id, fence, now, attempt=Diff.attempt - 1, passed_on_at=None)


def pass_on(session: Session, diff_id: int, fence: int, reason: str, now: float) -> None:
    """As `release`, for who can't work on it: others may begin in PASS_ON_SECONDS. `reason` is
    shown until then. What all have passed on for NOBODY_SECONDS fails with it: nobody else will
    come. Raises LeaseLostError."""
    diff = session.get_one(Diff, diff_id, populate_existing=True)
    since = now if diff.passed_on_at is None else diff.passed_on_at
    if now - since > NOBODY_SECONDS and diff.cancel_reason is None:
        waited = duration(NOBODY_SECONDS)
        fail(session, diff_id, fence, f"no worker could take it for {waited}: {reason}", now)
        return
    _requeue(
        session,
        diff_id,
        fence,
        now,
        attempt=Diff.attempt - 1,
        error=reason,
        not_before=now + PASS_ON_SECONDS,
        passed_on_at=since,
        passed_on=Diff.passed_on + 1,
    )


def retry_later(session: Session, diff_id: int, fence: int, reason: str, now: float) -> None:
    """End a try that crashed: the next one waits, longer every time. Raises LeaseLostError.

    After MAX_ATTEMPTS the diff fails with the reason; if it was to be cancelled, it is.
    """
    diff = session.get_one(Diff, diff_id, populate_existing=True)
    if diff.attempt >= MAX_ATTEMPTS and diff.cancel_reason is None:
        fail(session, diff_id, fence, f"given up after {diff.attempt} tries: {reason}", now)
    else:
        wait = leases.wait_after(diff.attempt)
        later = {"not_before": now + wait, "passed_on_at": None}
        _requeue(session, diff_id, fence, now, error=reason, **later)


def request_cancel(session: Session, diff_id: int, reason: str, now: float) -> None:
    """Have a diff cancelled: at once if it is queued, by whoever runs it otherwise.

    A diff that has ended stays as it is. `reason` says who asked for it, too.
    """
    diff = session.get_one(Diff, diff_id, populate_existing=True)
    if diff.state not in ACTIVE:
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
    failures = 0 if error is None else Diff.failures + 1
    result = {"verdict": verdict_json, "error": error, "failures": failures}
    _close(session, diff_id, fence, now, state=DiffState.DONE, **result)


def fail(session: Session, diff_id: int, fence: int, reason: str, now: float) -> None:
    """End the diff without a verdict: the candidate is undecided. Raises LeaseLostError."""
    failures = Diff.failures + 1
    _close(session, diff_id, fence, now, state=DiffState.FAILED, error=reason, failures=failures)


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
