"""The messages of alerts that are to be sent: planned from what has changed, sent afterwards.

`plan` compares alerts with what was planned, so nothing is lost when a process dies in between. A
message is in one of three states: never tried, tried with an end that nobody knows
(`attempted_at`), and sent (`reference`). Only the first is posted without a look at the channel.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from alerts.alert import LATENTWATCH, AlertState, Finding, rank
from alerts.routing import Route
from alerts.slack_status import moment, person
from alerts.slack_text import literal
from monitor.alerting import alert_of, subject_of
from monitor.schema import AlertMessage, AlertRow, Audit

Router = Callable[[AlertRow], Sequence[Route]]

_REASON = 1000


class Kind(StrEnum):
    """What a message is."""

    ALERT = "alert"
    """The alert itself; brought up to date with every revision."""
    REPLY = "reply"
    """A sentence in the alert's thread."""
    PICTURE = "picture"
    """The figures, in the alert's thread."""


class Due(NamedTuple):
    """A message that may be sent now."""

    message: AlertMessage
    alert: AlertRow
    thread: str | None
    """Reference of the message in whose thread it stands."""


def plan(session: Session, router: Router, now: float) -> None:
    """Have the messages sent that changed alerts ask for; those of a resolved one are only updated,
    so that nobody is paged for what was decided before it was posted."""
    for row in session.scalars(
        select(AlertRow).where(AlertRow.revision > AlertRow.planned).order_by(AlertRow.id)
    ).all():
        alert = alert_of(row)
        posted = {m.channel: m for m in messages_of(session, row) if m.kind == Kind.ALERT}
        news = _news(session, row)
        for message in posted.values():
            worse = rank(alert) > message.rank and alert.unresolved
            for one in news:
                if not (worse and one.loud):
                    key = f"r{one.revision}"
                    add_reply(session, row, message, key, one.text, now, broadcast=one.loud)
            if worse:
                text = f"*It is worse now: {row.severity}.* {literal(row.found, _REASON)}"
                key = f"rank{rank(alert)}.r{row.revision}"
                add_reply(session, row, message, key, text, now, broadcast=True)
            message.rank = max(message.rank, rank(alert))
            message.wanted = row.revision
            _add_picture(session, row, message, now)
        if alert.unresolved:
            for route in router(row):
                if route.channel not in posted:
                    _add_alert(session, row, route, now)
        row.planned = row.revision
    session.flush()


def add_reply(
    session: Session,
    row: AlertRow,
    under: AlertMessage,
    key: str,
    text: str,
    now: float,
    *,
    broadcast: bool = False,
) -> None:
    """Have `text` said in the thread of an alert, once per `key`."""
    _add(session, row, under.channel, Kind.REPLY, key, now, under, text=text, broadcast=broadcast)


def messages_of(session: Session, row: AlertRow) -> Sequence[AlertMessage]:
    """All messages about one alert, sent and unsent."""
    return session.scalars(
        select(AlertMessage).filter_by(alert_id=row.id).order_by(AlertMessage.id)
    ).all()


def due(session: Session, now: float) -> list[Due]:
    """What is to be sent, what needs most attention first and pictures last; the rest of a thread
    waits for its beginning."""
    thread = aliased(AlertMessage)
    found = session.execute(
        select(AlertMessage, AlertRow, thread.reference)
        .join(AlertRow, AlertRow.id == AlertMessage.alert_id)
        .outerjoin(thread, thread.id == AlertMessage.thread_id)
        .where(
            AlertMessage.sent < AlertMessage.wanted,
            AlertMessage.not_before <= now,
            AlertMessage.thread_id.is_(None) | thread.reference.is_not(None),
        )
        .order_by(
            AlertMessage.kind == Kind.PICTURE,  # nobody is paged later because of a picture
            AlertMessage.rank.desc(),
            AlertMessage.id,
        )
    )
    return [Due(*row) for row in found]


class _News(NamedTuple):
    revision: int
    text: str
    loud: bool
    """For the channel too."""


def _news(session: Session, row: AlertRow) -> list[_News]:
    """What people did since the last plan, and that it is open again. The n-th audit row of an
    alert is its n-th revision."""
    rows = session.scalars(
        select(Audit).filter_by(subject=subject_of(row)).order_by(Audit.id)
    ).all()
    news = []
    for revision, audit in enumerate(rows, start=1):
        if revision <= row.planned:
            continue
        why = literal(audit.reason, _REASON)
        if audit.actor != LATENTWATCH:
            text = f"{_deed(audit)}, {moment(audit.at)}: {why}"
            news.append(_News(revision, text, loud=False))
        elif audit.to_state == AlertState.OPEN != audit.from_state:
            news.append(_News(revision, f"*Open again*: {why}", loud=True))
    return news


def _deed(audit: Audit) -> str:
    deed = "wants to trust it" if audit.from_state == audit.to_state else audit.to_state
    return f"{person(audit.actor)} {deed}"


def _add_alert(session: Session, row: AlertRow, route: Route, now: float) -> None:
    """The alert's own message: in the channel, or in the thread of an alert about the same
    candidate that stands there already."""
    group = session.scalar(
        select(AlertMessage)
        .join(AlertRow, AlertRow.id == AlertMessage.alert_id)
        .where(
            AlertRow.line_id == row.line_id,
            AlertRow.candidate_digest == row.candidate_digest,
            AlertMessage.channel == route.channel,
            AlertMessage.kind == Kind.ALERT,
            AlertMessage.thread_id.is_(None),
        )
        .order_by(AlertMessage.id)
        .limit(1)
    )
    worse = group is not None and rank(alert_of(row)) > group.rank
    parent = _add(session, row, route.channel, Kind.ALERT, "", now, group, broadcast=worse)
    if group is not None:
        group.rank = max(group.rank, parent.rank)
    _add_picture(session, row, parent, now)


def _add_picture(session: Session, row: AlertRow, under: AlertMessage, now: float) -> None:
    """The figures of every comparison that flagged it, once."""
    if row.finding == Finding.FLAGGED and row.diff_id is not None:
        _add(session, row, under.channel, Kind.PICTURE, f"picture{row.diff_id}", now, under)


def _add(
    session: Session,
    row: AlertRow,
    channel: str,
    kind: Kind,
    key: str,
    now: float,
    under: AlertMessage | None,
    *,
    text: str = "",
    broadcast: bool = False,
) -> AlertMessage:
    key = f"{row.fingerprint}.{key}".rstrip(".")
    known = session.scalar(select(AlertMessage).filter_by(channel=channel, key=key))
    if known is not None:
        return known
    message = AlertMessage(
        alert_id=row.id,
        thread_id=None if under is None else under.thread_id or under.id,
        channel=channel,
        kind=kind,
        key=key,
        text=text,
        rank=rank(alert_of(row)),
        broadcast=broadcast,
        wanted=row.revision,
        sent=0,
        tries=0,
        not_before=now,
    )
    session.add(message)
    session.flush()
    return message
