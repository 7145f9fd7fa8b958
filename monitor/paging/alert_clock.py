"""What time alone does to alerts: checks that are overdue, snoozes that end, reminders, questions
that nobody waits for any more.

When who hears of it is decided by `alerts.escalation`; this reads rows and writes in the caller's
transaction.
"""

from collections.abc import Collection

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from alerts.alert import UNRESOLVED, AlertState, Finding
from alerts.alert_events import Measured, Woken
from alerts.escalation import remind
from alerts.routing import by_channel
from alerts.wording import duration
from monitor.alerting.alerts import alert_of, apply, raise_alert
from monitor.alerting.messages import Kind, key_of
from monitor.alerting.notices import plan_notices
from monitor.alerting.outbox import Router, add_alerts, add_reply
from monitor.database.schema import AlertMessage, AlertRow, Audit, Diff, Line, Trust, Version
from monitor.jobs.questions import cancel_idle
from monitor.lineage.trust import trusted_versions
from monitor.settings.lines import COMPARISONS

_WITHOUT_VERDICT = (Trust.NEW, Trust.CHECKING, Trust.UNDECIDED)


def tick(
    session: Session, router: Router, places: Collection[str], unchecked_seconds: float, now: float
) -> None:
    """Do whatever is due at the time `now`, in seconds since the epoch; `places` are the channels
    and destinations of the settings."""
    _raise_unchecked(session, unchecked_seconds, now)
    _wake(session, now)
    _remind(session, router, places, now)
    cancel_idle(session, now)


def _remind(session: Session, router: Router, places: Collection[str], now: float) -> None:
    """The reminders that are due and were not said; where an alert does not stand in the channel to
    which its route leads by now, the alert itself. However many alerts are open, they are read by
    two statements: transactions run one after the other, and whoever sends would wait."""
    of_open = select(AlertRow, AlertMessage).join(AlertRow, AlertRow.id == AlertMessage.alert_id)
    waits = (AlertRow.state == AlertState.OPEN) | AlertRow.proposed_by.is_not(None)
    of_open = of_open.where(waits).order_by(AlertMessage.id)
    replies = of_open.with_only_columns(AlertMessage.channel, AlertMessage.key)
    said = {tuple(row) for row in session.execute(replies.filter(AlertMessage.kind == Kind.REPLY))}
    heads: dict[AlertRow, dict[str, AlertMessage]] = {}
    for row, head in session.execute(of_open.where(AlertMessage.kind == Kind.ALERT)).all():
        heads.setdefault(row, {})[head.channel] = head
    for row, by_place in heads.items():
        routes, moved = router(row), False
        for channel, taken in by_channel(routes).items():
            due = remind(taken, alert_of(row), now)
            if channel not in by_place:
                moved = moved or bool(due)
                continue
            for key, text in due:
                if (channel, key_of(row, key)) not in said:
                    add_reply(session, row, by_place[channel], key, text, now, broadcast=True)
        if moved:
            add_alerts(session, row, routes, now)
            plan_notices(session, row, routes, places, now)


def _raise_unchecked(session: Session, unchecked_seconds: float, now: float) -> None:
    """An alert for every version that has waited too long, unless one about it is unresolved. What
    is checked again waits since that was asked for, what was skipped or overwritten before since it
    came back."""
    limit = now - unchecked_seconds
    was_checked = (
        select(Diff.id)
        .where(
            Diff.line_id == Version.line_id,
            Diff.candidate_digest == Version.content_digest,
            Diff.finished_at < Version.state_at,
        )
        .exists()
    )
    came_back = (
        select(Audit.id)
        .where(
            Audit.version_id == Version.id,
            Audit.from_state == Trust.SUPERSEDED,
            Audit.at > limit,
        )
        .exists()
    )
    overdue = session.execute(
        select(Line, Version)
        .join(Line, Line.id == Version.line_id)
        .where(
            Line.name != COMPARISONS,
            Version.state.in_(_WITHOUT_VERDICT),
            Version.registered_at <= limit,
            or_(Version.state_at <= limit, ~was_checked & ~came_back),
            ~select(AlertRow.id)
            .where(
                AlertRow.line_id == Version.line_id,
                AlertRow.candidate_digest == Version.content_digest,
                AlertRow.state.in_(UNRESOLVED),
            )
            .exists(),
        )
    ).all()
    for line, version in overdue:
        trusted = trusted_versions(session, line)
        base = trusted[0].content_digest if trusted else ""
        waiting = duration(unchecked_seconds)
        reason = f"{version.name} is {version.state} and has had no verdict for over {waiting}"
        found = Measured(Finding.UNCHECKED, "warning", reason)
        raise_alert(session, line, base, version, found, now)


def _wake(session: Session, now: float) -> None:
    for row in session.scalars(select(AlertRow).filter_by(state=AlertState.SNOOZED)).all():
        newest = session.scalar(
            select(func.max(Version.registered_at)).filter_by(line_id=row.line_id)
        )
        if row.snoozed_until is not None and row.snoozed_until <= now:
            apply(session, row, Woken("the snooze is over"), now)
        elif row.until_next and newest is not None and newest > row.changed_at:
            apply(session, row, Woken("the next version is there"), now)
