"""When alerts begin and change: a diff has ended, somebody has decided, time has passed.

Everything here is part of the transaction that causes it, so no verdict is without its alert. What
is sent of it, and where, is in `monitor.alerting.outbox`.
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.alert import LATENTWATCH, UNRESOLVED, Alert, AlertState, Finding, fingerprint
from alerts.alert_events import Decided, Event, Lapsed, Measured, Passed, Replaced
from alerts.alert_steps import Refusal, begin, step
from alerts.verdict import Severity
from monitor.database.audit import record
from monitor.database.schema import AlertRow, Diff, DiffState, Line, Trust, Version


def diff_ended(session: Session, diff: Diff, now: float) -> None:
    """Raise, refresh or clear the alert of `diff`, which has ended.

    Only comparisons with a version that is trusted now count, a quarantined candidate raises
    nothing more, and one that was trusted or skipped does only where it is flagged.
    """
    line = session.get_one(Line, diff.line_id)
    base, candidate = (
        _version(session, line, digest) for digest in (diff.base_digest, diff.candidate_digest)
    )
    if base is None or base.state != Trust.TRUSTED or candidate is None:
        return
    if diff.state == DiffState.CANCELLED and _has_verdict(session, diff):
        return  # that nobody wanted another one takes nothing from it
    found = finding_of(diff)
    if found is None:
        passed = f"the check against {base.name} has passed"
        for row in alerts_of(session, candidate):
            if row.finding == Finding.UNCHECKED:
                continue  # until all its comparisons have passed
            if row.base_digest == diff.base_digest:
                apply(session, row, Passed(passed), now)
            elif not _counts(session, line, row) and row.finding != Finding.FLAGGED:
                apply(session, row, Replaced(passed), now)
    elif candidate.state != Trust.QUARANTINED and (
        candidate.state not in (Trust.TRUSTED, Trust.SUPERSEDED) or found.finding == Finding.FLAGGED
    ):
        row = raise_alert(session, line, diff.base_digest, candidate, found, now, diff)
        for other in alerts_of(session, candidate):
            unchecked = other.finding == Finding.UNCHECKED
            # What was flagged is no better for a check that failed.
            answered = other.finding != Finding.FLAGGED or found.finding == Finding.FLAGGED
            over = unchecked or (answered and not _counts(session, line, other))
            if other.id != row.id and over:
                apply(session, other, Replaced(f"compared with {base.name} since"), now)


def version_moved(
    session: Session, version: Version, *, actor: str, reason: str, now: float
) -> None:
    """End the alerts of `version` to which its new state is an answer: all when it was decided;
    that it is unchecked when it has passed; and when it was skipped whatever is no flag, since
    nobody could trust it then."""
    for row in alerts_of(session, version):
        match version.state:
            case Trust.TRUSTED | Trust.QUARANTINED:
                apply(session, row, Decided(actor, AlertState(version.state), reason), now)
            case Trust.PASSED if row.finding == Finding.UNCHECKED:
                apply(session, row, Passed(reason), now)
            case Trust.SUPERSEDED if row.finding != Finding.FLAGGED:
                apply(session, row, Replaced(reason), now)


def catch_up(session: Session, now: float) -> None:
    """Raise what ended before there were alerts: versions that still wait for a decision. End what
    an older latentwatch has left open of versions that wait for none."""
    about = select(AlertRow.id).where(
        AlertRow.line_id == Version.line_id, AlertRow.candidate_digest == Version.content_digest
    )
    over = session.scalars(
        select(Version).where(
            Version.state.in_((Trust.PASSED, Trust.SUPERSEDED)),
            about.where(AlertRow.state.in_(UNRESOLVED)).exists(),
        )
    ).all()
    for version in over:
        reason = version.reason or f"the version is {version.state}"
        version_moved(session, version, actor=LATENTWATCH, reason=reason, now=now)
    waiting = session.scalars(
        select(Version).where(Version.state.in_((Trust.FLAGGED, Trust.UNDECIDED)), ~about.exists())
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
        reasons = reasons or "the verdict is flagged"
        return Measured(Finding.FLAGGED, severity, reasons, _flagged_behaviours(verdict))
    if outcome == Trust.PASSED and diff.state == DiffState.DONE:
        return None
    reason = diff.error or reasons or "the comparison ended without a verdict"
    return Measured(Finding.UNDECIDED, "warning", reason, _flagged_behaviours(verdict))


def _flagged_behaviours(verdict: dict[str, Any]) -> tuple[str, ...]:
    flagged = [b["name"] for b in verdict.get("behaviours") or [] if b.get("flagged")]
    own_words = verdict.get("own_words") or {}
    return (*flagged, "own_words") if own_words.get("flagged") else tuple(flagged)


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
        _lapse(session, candidate, "there is another finding", now)
        row = AlertRow(
            fingerprint=key,
            line_id=line.id,
            base_digest=base_digest,
            candidate_digest=candidate.content_digest,
        )
        _write(row, begin(found, now))
        session.add(row)
        _record(session, row, "none", now)
        if diff is not None:
            row.diff_id = diff.id
        return row
    before = alert_of(row)
    again = diff is not None and diff.id != row.diff_id and found.finding == before.finding
    if again or step(before, found, now) != before:
        _lapse(session, candidate, "it was checked again", now)
    apply(session, row, found, now)
    if diff is not None and (row.diff_id is None or row.finding == found.finding):
        row.diff_id = diff.id
    return row


def _has_verdict(session: Session, diff: Diff) -> bool:
    """Whether the same two versions were compared to an end, by any recipe."""
    pair = {name: getattr(diff, name) for name in ("line_id", "base_digest", "candidate_digest")}
    done = select(Diff.id).filter_by(**pair, state=DiffState.DONE).limit(1)
    return session.scalar(done) is not None


def _lapse(session: Session, candidate: Version, why: str, now: float) -> None:
    """End a proposal to trust `candidate`: nobody agrees to what the first has not seen."""
    for row in alerts_of(session, candidate):
        apply(session, row, Lapsed(why), now)


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
        finding=Finding(row.finding),
        severity="critical" if row.severity == "critical" else "warning",
        state=AlertState(row.state),
        revision=row.revision,
        changed_by=row.changed_by,
        changed_at=row.changed_at,
        reason=row.reason,
        found=row.found,
        opened_at=row.opened_at,
        snoozed_until=row.snoozed_until,
        until_next=row.until_next,
        proposed_by=row.proposed_by,
        proposal=row.proposal,
        answered_by=row.answered_by,
        answered_at=row.answered_at,
        answer=row.answer,
        behaviours=tuple(json.loads(row.behaviours)),
    )


def subject_of(row: AlertRow) -> str:
    """Its name in the audit log."""
    return f"alert:{row.fingerprint}"


def _write(row: AlertRow, alert: Alert) -> None:
    values = alert._asdict() | {"behaviours": json.dumps(alert.behaviours)}
    for name, value in values.items():
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


def alerts_of(session: Session, candidate: Version) -> Sequence[AlertRow]:
    """All alerts about one version, whatever it was compared with."""
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
