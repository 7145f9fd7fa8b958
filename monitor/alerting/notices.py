"""What destinations other than Slack are to be told: one notice per alert and destination, which
follows the alert as its message in Slack does."""

from collections.abc import Collection, Sequence

from sqlalchemy.orm import Session

from alerts.alert_steps import rank
from alerts.escalation import notice_times
from alerts.routing import Route
from monitor.alerting.alerts import alert_of
from monitor.alerting.messages import Kind, add_message, messages_of, untold
from monitor.database.schema import AlertRow


def plan_notices(
    session: Session, row: AlertRow, routes: Sequence[Route], places: Collection[str], now: float
) -> None:
    """Bring the notices of a changed alert up to date, in those `places` that the settings name.

    One that waits for its rung of the ladder, or for the end of quiet hours, is taken back when the
    alert is answered or resolved before.
    """
    alert = alert_of(row)
    times = notice_times(routes, alert) if alert.unresolved else {}
    known = set()
    for notice in messages_of(session, row):
        if notice.kind != Kind.NOTICE:
            continue
        if untold(notice) and notice.channel not in times:
            session.delete(notice)
            continue
        if notice.channel not in places:
            continue
        known.add(notice.channel)
        notice.wanted, notice.rank = row.revision, max(notice.rank, rank(alert))
        notice.not_before = times.get(notice.channel, now)
    session.flush()
    for destination, at in times.items():
        if destination not in known:
            add_message(session, row, destination, Kind.NOTICE, "", at, None)
