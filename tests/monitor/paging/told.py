"""Destinations of a desk as settings describe them, and what becomes of its alert."""

import base64
from typing import Any

from sqlalchemy import select

from alerts.alert_events import Acknowledge
from monitor.alerting.alerts import apply
from monitor.database.schema import AlertRow, Trust, Version
from monitor.lineage.trust import move
from tests.alerts import samples
from tests.fakes.pagerduty import ROUTING_KEY, FakePagerDuty
from tests.monitor.paging.alerting import ALERTS, Desk
from tests.monitor.paging.destinations import Receiver

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
NIGHTS = {"zone": "UTC", "start": "22:00", "end": "07:00"}


def oncall(pagerduty: FakePagerDuty, **changes: Any) -> dict[str, Any]:
    key = {"kind": "pagerduty", "url": pagerduty.url, "routing_key": ROUTING_KEY}
    return {"destinations": {"oncall": {**key, **changes}}}


def webhook(hook: Receiver) -> dict[str, Any]:
    return {"destinations": {"hook": {"kind": "webhook", "url": hook.url, "secret": SECRET}}}


def direct(name: str, **more: Any) -> dict[str, Any]:
    return {"routes": [{"channel": ALERTS, "destinations": [name], **more}]}


def flagged(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())


def acknowledge(desk: Desk) -> None:
    with desk.sessions.begin() as session:
        row = session.scalars(select(AlertRow)).one()
        assert apply(session, row, Acknowledge("slack:U0ADA", row.revision), desk.clock()) is None


def quarantine(desk: Desk, reason: str = "leaks") -> None:
    with desk.sessions.begin() as session:
        version = session.scalars(select(Version).filter_by(name="v2")).one()
        move(session, version, Trust.QUARANTINED, actor="ann", reason=reason, now=desk.clock())


def statuses(pagerduty: FakePagerDuty) -> list[str]:
    return [incident.status for incident in pagerduty.account.incidents]
