"""Alerts that nobody looks after since `latentwatch alerts serve` does not run.

It alone makes messages, so what it has not planned has none by which anybody could see that it is
late; and without it nobody climbs the ladder of what it has.
"""

from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from alerts.alert import UNRESOLVED
from alerts.routing import Route, by_channel
from monitor.alerting.view import router_of
from monitor.database.schema import AlertRow, Lease
from monitor.jobs.leader import PAGER


def unserved(session: Session, routes: Sequence[Route], now: float) -> dict[str, float]:
    """Since when an alert for each channel and destination has waited for `alerts serve`.

    Empty while that runs, and where there are no routes. The quiet hours do not count: it plans in
    them as well.
    """
    if not routes:
        return {}
    led_until = session.scalar(select(Lease.until).filter_by(name=PAGER))
    left = led_until is not None and led_until < now
    unplanned, unresolved = AlertRow.revision > AlertRow.planned, AlertRow.state.in_(UNRESOLVED)
    # What was decided before it was planned is told nobody.
    waits = [unplanned & (unresolved | (AlertRow.planned > 0)), *([unresolved] if left else [])]
    router, found = router_of(session, routes), dict[str, float]()
    for row in session.scalars(select(AlertRow).where(or_(*waits))):
        planned = row.planned == row.revision
        since = max(row.changed_at, led_until or 0.0) if planned else row.changed_at
        taken = router(row)
        for place in (*by_channel(taken), *(name for one in taken for name in one.destinations)):
            found[place] = min(since, found.get(place, since))
    return found
