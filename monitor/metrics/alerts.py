"""Readings of the alerts that reviewers get, and of the messages that tell of them."""

from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from alerts.alert import UNRESOLVED, AlertState
from monitor.metrics.reading import Reading
from monitor.schema import AlertMessage, AlertRow

SEVERITIES = ("warning", "critical")


def read_alerts(session: Session, now: float) -> Iterator[Reading]:
    """Alerts that wait, how long the oldest has been open, and what could not be sent yet."""
    counts = {
        (state, severity): number
        for state, severity, number in session.execute(
            select(AlertRow.state, AlertRow.severity, func.count()).group_by(
                AlertRow.state, AlertRow.severity
            )
        )
    }
    for state in UNRESOLVED:
        for severity in SEVERITIES:
            yield Reading("alerts", (state, severity), counts.get((state, severity), 0))
    opened = session.scalar(
        select(func.min(AlertRow.opened_at)).where(AlertRow.state == AlertState.OPEN)
    )
    yield Reading("alert_oldest_open_seconds", (), 0.0 if opened is None else now - opened)
    channels = session.scalars(select(AlertMessage.channel).distinct()).all()
    pending = dict(
        session.execute(
            select(AlertMessage.channel, func.min(AlertRow.changed_at))
            .join(AlertRow, AlertRow.id == AlertMessage.alert_id)
            .where(AlertMessage.sent < AlertMessage.wanted)
            .group_by(AlertMessage.channel)
        ).all()
    )
    for channel in sorted(channels):
        since = pending.get(channel)
        age = 0.0 if since is None else now - since
        yield Reading("alert_unsent_seconds", (channel,), age)
