"""Channels that can't be written to: noticed by their messages, and told in other channels.

One message per outage and channel that hears of it; it is brought up to date when the outage ends.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.alert import UNRESOLVED, Finding
from alerts.wording import count, duration
from monitor.alerting.messages import Kind
from monitor.database.schema import AlertMessage, AlertRow

DOWN, OVER = 1, 2
"""What a message about an outage is to show, in place of an alert's revision."""
_URGENT = 2
_ERROR = 300


class Outage(NamedTuple):
    """A channel that has refused or not answered since the time `since`; `over_at` ends it."""

    channel: str
    since: float
    error: str
    over_at: float | None = None
    waits: str = ""
    """Which alerts could not be sent when this was told first, in words."""
    removed: bool = False
    """It is over since the settings name the channel no longer."""

    @property
    def key(self) -> str:
        """By which its messages are found, in every channel that hears of it."""
        return f"outage.{self.channel}.{self.since:.0f}"

    @property
    def sentence(self) -> str:
        """What is told of it, in plain words."""
        if self.over_at is None:
            waits = f"; {self.waits}" if self.waits else ""
            return f"Alerts can't be sent to {self.channel}: {self.error}{waits}"
        away = duration(self.over_at - self.since)
        if self.removed:
            return f"Nothing is sent to {self.channel} any more, which was away for {away}"
        return f"Alerts are sent to {self.channel} again; it was away for {away}: {self.error}"


def failing(session: Session) -> dict[str, Outage]:
    """The channels to which something could not be sent, each since its oldest failure."""
    found: dict[str, Outage] = {}
    for message in session.scalars(
        select(AlertMessage)
        .where(AlertMessage.failing_since.is_not(None))
        .order_by(AlertMessage.failing_since, AlertMessage.id)
    ):
        outage = Outage(message.channel, message.failing_since or 0.0, _said(message.error))
        found.setdefault(message.channel, outage)
    return found


def changed(
    failing: Mapping[str, Outage], told: Sequence[Outage], outage_seconds: float, now: float
) -> list[Outage]:
    """The outages to be told: begun and not told, or told and over. Pure."""
    open_ = {outage.channel for outage in told if outage.over_at is None}
    begun = [
        outage
        for channel, outage in failing.items()
        if channel not in open_ and now - outage.since >= outage_seconds
    ]
    ended = [
        outage._replace(over_at=now)
        for outage in told
        if outage.over_at is None and outage.channel not in failing
    ]
    return begun + ended


def plan_outages(
    session: Session,
    hearers: Sequence[str],
    places: Collection[str],
    outage_seconds: float,
    now: float,
) -> None:
    """Have every other channel of `hearers` told of what has begun or ended; what is none of
    `places`, the channels and destinations of the settings, is away no more."""
    texts = session.scalars(select(AlertMessage.text).filter_by(kind=Kind.OUTAGE, wanted=DOWN))
    told = list(dict.fromkeys(map(outage_of, texts)))
    away = {channel: one for channel, one in failing(session).items() if channel in places}
    for outage in changed(away, told, outage_seconds, now):
        if outage.over_at is not None:
            outage = outage._replace(removed=outage.channel not in places)
            for message in session.scalars(
                select(AlertMessage).filter_by(kind=Kind.OUTAGE, key=outage.key)
            ):
                message.wanted, message.text, message.not_before = OVER, _stored(outage), now
            continue
        outage = outage._replace(waits=_waiting(session, outage.channel))
        for hearer in hearers:
            if hearer != outage.channel:
                session.add(_message(hearer, outage, now))
    session.flush()


def _waiting(session: Session, channel: str) -> str:
    """How many unresolved alerts the channel was not told of, by how bad they are."""
    rows = session.scalars(
        select(AlertRow)
        .join(AlertMessage, AlertMessage.alert_id == AlertRow.id)
        .where(
            AlertMessage.channel == channel,
            AlertMessage.kind.in_((Kind.ALERT, Kind.NOTICE)),
            AlertMessage.sent < AlertMessage.wanted,
            AlertRow.state.in_(UNRESOLVED),
        )
    ).all()
    found = Counter(r.severity if r.finding == Finding.FLAGGED else r.finding for r in rows)
    if not found:
        return ""
    order = ("critical", "warning", Finding.UNDECIDED, Finding.UNCHECKED)
    named = ", ".join(f"{found[kind]} {kind}" for kind in order if found[kind])
    return f"{count(len(rows), 'alert waits', 'alerts wait')}: {named}"


def outage_of(text: str) -> Outage:
    """The outage that a message's row holds."""
    return Outage(*json.loads(text))


def _stored(outage: Outage) -> str:
    return json.dumps(list(outage))


def _message(hearer: str, outage: Outage, now: float) -> AlertMessage:
    return AlertMessage(
        alert_id=None,
        thread_id=None,
        channel=hearer,
        kind=Kind.OUTAGE,
        key=outage.key,
        text=_stored(outage),
        rank=_URGENT,
        broadcast=False,
        wanted=DOWN,
        sent=0,
        tries=0,
        not_before=now,
    )


def _said(error: str | None) -> str:
    return (error or "it refuses or does not answer")[:_ERROR]
