"""Channels and destinations that the settings name no longer: nobody sends anything there."""

from collections.abc import Collection

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from alerts.alert import UNRESOLVED
from monitor.alerting.messages import Kind, untold
from monitor.alerting.notices import plan_notices
from monitor.alerting.outbox import Router, add_alerts
from monitor.alerting.withdrawals import take_back
from monitor.database.schema import AlertMessage, AlertRow


def settle_removed(session: Session, router: Router, places: Collection[str], now: float) -> None:
    """Take what waits for other places than `places` for settled: it would be late, and an outage,
    for ever. Alerts that nobody may have seen there go to where `router` leads them now.

    Runs after the plan, so that what has changed since is said only where the alert stood before.
    """
    removed = AlertMessage.channel.not_in(places)
    unseen = session.execute(
        select(AlertRow, AlertMessage)
        .join(AlertMessage, AlertMessage.alert_id == AlertRow.id)
        .where(
            removed,
            AlertMessage.kind.in_((Kind.ALERT, Kind.NOTICE)),
            AlertMessage.reference.is_(None),
            AlertMessage.sent == 0,
            AlertRow.state.in_(UNRESOLVED),
        )
        # The beginning of a thread can go when no other alert stands in it any more.
        .order_by(AlertMessage.thread_id.is_(None), AlertMessage.id)
    ).all()
    for row, message in unseen:
        if message.kind == Kind.ALERT and untold(message):
            take_back(session, row, message)
    for row in dict.fromkeys(row for row, _ in unseen):
        routes = router(row)
        add_alerts(session, row, routes, now)
        plan_notices(session, row, routes, places, now)
    session.execute(
        update(AlertMessage)
        .where(
            removed,
            (AlertMessage.sent < AlertMessage.wanted) | AlertMessage.failing_since.is_not(None),
        )
        .values(sent=AlertMessage.wanted, error=None, failing_since=None)
        .execution_options(synchronize_session=False)
    )
