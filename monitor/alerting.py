"""When alerts begin and change: a diff has ended, somebody has decided, time has passed.

Everything here is part of the transaction that causes it, so no verdict is without its alert. What
is sent of it, and where, is in `monitor.alert_outbox`.
"""

import json
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.alert import (
    Alert,
    AlertState,
    Decided,
    Event,
    Finding,
    Measured,
    Passed,
    Refusal,
    Replaced,
    begin,
    fingerprint,
    step,
)
from alerts.verdict import Severity
from monitor.audit import record
from monitor.schema import AlertRow, Diff, DiffState, Line, Trust, Version


def diff_ended(session: Session, diff: Diff, now: float) -> None:
    """Raise, refresh or clear the alert of `diff`, which has ended.

    Only comparisons with a version that is trusted now count, and a quarantined candidate raises
    nothing more.
    """
    line = session.get_one(Line, diff.line_id)
    base, candidate = (
        _version(session, line, digest) for digest in (diff.base_digest, diff.candidate_digest)
    )
    if base is None or base.state != Trust.TRUSTED or candidate is None:
        return
    found = finding_of(diff)
    if found is None:
        passed = f"the check against {base.name} has passed"
        for row in _alerts(session, candidate):
            if row.base_digest == diff.base_digest:
                apply(session, row, Passed(passed), now)
            elif not _counts(session, line, row) and row.finding != Finding.FLAGGED:
                apply(session, row, Replaced(passed), now)
    elif candidate.state != Trust.QUARANTINED and (
        candidate.state != Trust.TRUSTED or found.finding == Finding.FLAGGED
    ):
        row = raise_alert(session, line, diff.base_digest, candidate, found, now, diff)
        for other in _alerts(session, candidate):
            if other.id != row.id and not _counts(session, line, other):
                apply(session, other, Replaced(f"compared with {base.name} since"), now)


def version_decided(
    session: Session, version: Version, *, actor: str, reason: str, now: float
) -> None:
    """End the alerts of `version`, if it has just become trusted or quarantined."""
    if version.state in (Trust.TRUSTED, Trust.QUARANTINED):
        decided = Decided(actor, AlertState(version.state), reason)
        for row in _alerts(session, version):
            apply(session, row, decided, now)


def catch_up(session: Session, now: float) -> None:
    """Raise what ended before there were alerts: versions that still wait for a decision."""
    waiting = session.scalars(
        select(Version).where(
            Version.state.in_((Trust.FLAGGED, Trust.UNDECIDED)),
            ~select(AlertRow.id)
            .where(
                AlertRow.line_id == Version.line_id,
                AlertRow.candidate_digest == Version.content_digest,
            )
            .exists(),
        )
    ).all()
    for version in waiting:
        for diff in session.scalars(
            select(Diff)
            .filter_by(line_id=version.line_id, candidate_digest=version.content_digest)
            .where(Diff.finished_at.is_not(None))
            .order_by(Diff.finished_at, Diff.id)
        ).all():
            diff_ended(session, diff, now)


def finding_of(diff: Diff) -> Measured | None:
    """What the end of `diff` says of its candidate; None where it has passed."""
    verdict = {} if diff.verdict is None else json.loads(diff.verdict)
    outcome = verdict.get("verdict")
    reasons = "; ".join(verdict.get("reasons") or [])
    if outcome == Trust.FLAGGED:
        severity: Severity = "critical" if verdict.get("severity") == "critical" else "warning"
        return Measured(Finding.FLAGGED, severity, reasons or "the verdict is flagged")
    if outcome == Trust.PASSED and diff.state == DiffState.DONE:
        return None
    reason = diff.error or reasons or "the comparison ended without a verdict"
    return Measured(Finding.UNDECIDED, "warning", reason)


def _flagged_behaviours(diff: Diff) -> list[str]:
    verdict = {} if diff.verdict is None else json.loads(diff.verdict)
    flagged = [b["name"] for b in verdict.get("behaviours") or [] if b.get("flagged")]
    own_words = verdict.get("own_words") or {}
    return [*flagged, "own_words"] if own_words.get("flagged") else flagged


def raise_alert(
    session: Session,
    line: Line,
    base_digest: str,
    candidate: Version,
    found: Measured,
    now: float,
    diff: Diff | None = None,
) -> AlertRow:
    """The alert of this base and candidate, begun or brought up to date; `diff` is the comparison
    that says so."""
    key = fingerprint(line.name, base_digest, candidate.content_digest)
    row = session.scalar(select(AlertRow).filter_by(fingerprint=key))
    if row is None:
        row = AlertRow(
            fingerprint=key,
            line_id=line.id,
            base_digest=base_digest,
            candidate_digest=candidate.content_digest,
        )
        _write(row, begin(found, now))
        session.add(row)
        _record(session, row, "none", now)
    else:
        apply(session, row, found, now)
    if diff is not None and (row.diff_id is None or row.finding == found.finding):
        row.diff_id, row.behaviours = diff.id, json.dumps(_flagged_behaviours(diff))
    return row


def apply(session: Session, row: AlertRow, event: Event, now: float) -> Refusal | None:
    """Let `event` happen to an alert, with its audit row; why not, where it may not."""
    before = alert_of(row)
    after = step(before, event, now)
    if isinstance(after, Refusal):
        return after
    if after != before:
        _write(row, after)
        _record(session, row, before.state, now)
    return None


def alert_of(row: AlertRow) -> Alert:
    """The alert that the row holds."""
    return Alert(
        Finding(row.finding),
        "critical" if row.severity == "critical" else "warning",
        AlertState(row.state),
        row.revision,
        row.changed_by,
        row.changed_at,
        row.reason,
        row.found,
        row.opened_at,
        row.snoozed_until,
        row.until_next,
        row.proposed_by,
    )


def subject_of(row: AlertRow) -> str:
    """Its name in the audit log."""
    return f"alert:{row.fingerprint}"


def _write(row: AlertRow, alert: Alert) -> None:
    for name, value in alert._asdict().items():
        setattr(row, name, value)


def _record(session: Session, row: AlertRow, before: str, now: float) -> None:
    record(
        session,
        before,
        row.state,
        actor=row.changed_by,
        reason=row.reason,
        now=now,
        subject=subject_of(row),
    )


def _alerts(session: Session, candidate: Version) -> Sequence[AlertRow]:
    return session.scalars(
        select(AlertRow).filter_by(
            line_id=candidate.line_id, candidate_digest=candidate.content_digest
        )
    ).all()


def _counts(session: Session, line: Line, row: AlertRow) -> bool:
    """Whether what the alert's candidate was compared with is trusted now."""
    base = _version(session, line, row.base_digest)
    return base is not None and base.state == Trust.TRUSTED


def _version(session: Session, line: Line, digest: str) -> Version | None:
    return session.scalar(select(Version).filter_by(line_id=line.id, content_digest=digest))
