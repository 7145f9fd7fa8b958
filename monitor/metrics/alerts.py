"""Readings of the alerts that reviewers get, and of the messages that tell of them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import case, func, not_, select
from sqlalchemy.orm import Session, aliased

from alerts.alert import DECISIONS, LATENTWATCH, UNRESOLVED, AlertState
from alerts.routing import Route
from monitor.database.schema import AlertMessage, AlertRow, Audit
from monitor.metrics.reading import Distribution, Reading, Spread
from monitor.metrics.unserved import unserved
from monitor.paging.outages import failing

SEVERITIES = ("warning", "critical")


def read_alerts(session: Session, routes: Sequence[Route], now: float) -> Iterator[Reading]:
    """Alerts that wait, how long the oldest has been open, and what could not be sent yet, where
    `routes` lead anywhere."""
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
    yield from _channels(session, routes, now)


def _channels(session: Session, routes: Sequence[Route], now: float) -> Iterator[Reading]:
    """What is held back on purpose, for quiet hours or a rung of the ladder, is not late."""
    thread = aliased(AlertMessage)
    held = (AlertMessage.tries == 0) & (AlertMessage.not_before > now)
    waits = AlertMessage.thread_id.is_not(None) & thread.reference.is_(None)
    since = case(
        (AlertMessage.not_before > AlertRow.changed_at, AlertMessage.not_before),
        else_=AlertRow.changed_at,
    )
    late: dict[str, float] = dict(
        session.execute(
            select(
                AlertMessage.channel,
                func.min(case((AlertMessage.tries == 0, since), else_=AlertRow.changed_at)),
            )
            .join(AlertRow, AlertRow.id == AlertMessage.alert_id)
            .outerjoin(thread, thread.id == AlertMessage.thread_id)
            .where(AlertMessage.sent < AlertMessage.wanted, not_(held), not_(waits))
            .group_by(AlertMessage.channel)
        ).all()
    )
    away, forgotten = failing(session), unserved(session, routes, now)
    known = session.scalars(select(AlertMessage.channel).distinct())
    for channel in sorted({*known, *forgotten}):
        at = min(filter(None, (late.get(channel), forgotten.get(channel))), default=None)
        yield Reading("alert_unsent_seconds", (channel,), 0.0 if at is None else now - at)
        outage = away.get(channel)
        failed = 0.0 if outage is None else now - outage.since
        yield Reading("alert_channel_failing_seconds", (channel,), failed)


class Answers:
    """How long reviewers took. Remembers how far it has read in the audit log, so that a scrape
    looks at what came since the last one; after a restart it reads everything again, and counts the
    same."""

    def __init__(self) -> None:
        self._read = 0
        self._opened: dict[str, _Opened] = {}
        self._acknowledged = Distribution()
        self._decided = {decision: Distribution() for decision in DECISIONS}

    def read(self, session: Session) -> Iterator[Spread]:
        """The times to the first answer of a person, and to a decision."""
        for row in session.scalars(
            select(Audit)
            .where(Audit.id > self._read, Audit.subject.startswith("alert:"))
            .order_by(Audit.id)
        ):
            self._read = row.id
            self._count(row)
        yield Spread("alert_time_to_acknowledge_seconds", (), self._acknowledged)
        for decision, distribution in self._decided.items():
            yield Spread("alert_time_to_decide_seconds", (decision,), distribution)

    def _count(self, row: Audit) -> None:
        known = self._opened.get(row.subject or "")
        if row.to_state == AlertState.OPEN != row.from_state:
            first = row.at if known is None else known.first
            self._opened[row.subject or ""] = _Opened(first, row.at)
            return
        if known is None:
            return
        if known.last is not None and row.actor != LATENTWATCH:
            self._acknowledged.observe(row.at - known.last)
            self._opened[row.subject or ""] = known._replace(last=None)
        if row.to_state in DECISIONS and row.from_state != row.to_state:
            self._decided[AlertState(row.to_state)].observe(row.at - known.first)
        if row.to_state not in UNRESOLVED:
            self._opened.pop(row.subject or "", None)


class _Opened(NamedTuple):
    first: float
    """Since when it has waited for a decision."""
    last: float | None
    """Since when it has waited for an answer; None where it has one."""
