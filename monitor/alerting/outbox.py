"""The messages of alerts that are to be sent: planned from what has changed, sent afterwards.

`plan` compares alerts with what was planned, so nothing is lost when a process dies in between. A
message is in one of three states: never tried, tried with an end that nobody knows
(`attempted_at`), and sent (`reference`). Only the first is posted without a look at the channel.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.orm import Session, aliased

from alerts.alert import UNRESOLVED, AlertState, Finding
from alerts.alert_steps import rank
from alerts.escalation import first_told_at
from alerts.routing import Route, by_channel, mentions_of
from alerts.slack.status import calling
from alerts.slack.text import literal
from monitor.alerting.alerts import alert_of
from monitor.alerting.messages import Kind, add_message, messages_of, untold
from monitor.alerting.news import LONGEST_REASON, news_of
from monitor.alerting.notices import plan_notices
from monitor.alerting.withdrawals import withdraw_calls, withdrawn
from monitor.database.schema import AlertMessage, AlertRow
from monitor.moments import SKEW_SECONDS

Router = Callable[[AlertRow], Sequence[Route]]


class Due(NamedTuple):
    """A message that may be sent now."""

    message: AlertMessage
    alert: AlertRow | None
    """None where it is about no alert, as an outage is."""
    thread: str | None
    """Reference of the message in whose thread it stands."""


def wait_no_longer(session: Session, back: float, now: float) -> None:
    """Have what was due, or waits for another try, wait no longer than was meant where the clock
    was set back by `back` seconds to the time `now`. The end of quiet hours is when it is."""
    if back > SKEW_SECONDS:
        was_due = AlertMessage.not_before <= now + back
        session.execute(
            update(AlertMessage)
            .where(AlertMessage.not_before > now, was_due | (AlertMessage.tries > 0))
            .values(not_before=AlertMessage.not_before - back)
        )


def plan(session: Session, router: Router, places: Collection[str], now: float) -> None:
    """Have the messages sent that changed alerts ask for; those of a resolved one are only updated,
    so that nobody is paged for what was decided before it was posted. What was sent to none of
    `places`, the channels and destinations of the settings, stays as it is."""
    for row in session.scalars(
        select(AlertRow).where(AlertRow.revision > AlertRow.planned).order_by(AlertRow.id)
    ).all():
        routes = router(row)
        _plan_slack(session, row, routes, places, now)
        plan_notices(session, row, routes, places, now)
        row.planned = row.revision
    session.flush()


def _plan_slack(
    session: Session, row: AlertRow, routes: Sequence[Route], places: Collection[str], now: float
) -> None:
    alert, by_id = alert_of(row), by_channel(routes)
    news = news_of(session, row)
    withdraw_calls(session, row, now)
    for message in messages_of(session, row):
        if message.kind != Kind.ALERT or withdrawn(session, row, message):
            continue
        if message.channel not in places:
            continue
        taken = by_id.get(message.channel, [])
        aloud = first_told_at(taken, alert.severity, now)
        waits = alert.state == AlertState.OPEN or alert.proposed_by is not None
        called = calling(mentions_of(taken)) if waits else ""
        worse = rank(alert) > message.rank and alert.unresolved
        for one in news:
            if not (worse and one.loud):
                at, text = (aloud, f"{one.text}{called}") if one.loud else (now, one.text)
                add_reply(session, row, message, f"r{one.revision}", text, at, one.loud)
        if worse:
            text = (
                f"*It is worse now: {row.severity}.* {literal(row.found, LONGEST_REASON)}{called}"
            )
            key = f"rank{rank(alert)}.r{row.revision}"
            add_reply(session, row, message, key, text, aloud, broadcast=True)
        message.rank = max(message.rank, rank(alert))
        message.wanted = row.revision
        _release(session, message, aloud)
        _add_picture(session, row, message, now)
    if alert.unresolved:
        add_alerts(session, row, routes, now)
    _refresh_siblings(session, row, places)


def add_alerts(session: Session, row: AlertRow, routes: Sequence[Route], now: float) -> None:
    """The alert's own message in every channel to which `routes` lead and that has none of it."""
    messages = messages_of(session, row)
    there = {message.channel for message in messages if message.kind == Kind.ALERT}
    for channel, taken in by_channel(routes).items():
        if channel not in there:
            at = first_told_at(taken, alert_of(row).severity, now)
            _add_alert(session, row, channel, at, now)


def _refresh_siblings(session: Session, row: AlertRow, places: Collection[str]) -> None:
    """Have the alerts about the same version shown anew, which say where this one stands."""
    for message in session.scalars(
        select(AlertMessage)
        .join(AlertRow, AlertRow.id == AlertMessage.alert_id)
        .where(
            *_of_siblings(row),
            AlertMessage.channel.in_(places),
            AlertMessage.reference.is_not(None),
        )
    ).all():
        message.sent = min(message.sent, message.wanted - 1)


def _of_siblings(row: AlertRow) -> tuple[ColumnElement[bool], ...]:
    """The own messages of the other unresolved alerts about the same version."""
    return (
        AlertRow.line_id == row.line_id,
        AlertRow.candidate_digest == row.candidate_digest,
        AlertRow.id != row.id,
        AlertRow.state.in_(UNRESOLVED),
        AlertMessage.kind == Kind.ALERT,
    )


def _release(session: Session, message: AlertMessage, at: float) -> None:
    """Hold back an alert until the time `at` and no longer, nor that in whose thread it stands:
    what is critical does not wait for the end of anybody's quiet hours."""
    head = None if message.thread_id is None else session.get(AlertMessage, message.thread_id)
    for held in (message, head):
        if held is not None and untold(held):
            held.not_before = min(held.not_before, at)


def add_reply(
    session: Session,
    row: AlertRow,
    under: AlertMessage,
    key: str,
    text: str,
    not_before: float,
    broadcast: bool = False,
) -> None:
    """Have `text` said in the thread of an alert, once per `key`."""
    add_message(
        session,
        row,
        under.channel,
        Kind.REPLY,
        key,
        not_before,
        under,
        text=text,
        broadcast=broadcast,
    )


def due(session: Session, now: float, pictures: bool) -> list[Due]:
    """What is to be sent to Slack, pictures or all else, what needs most attention first, and with
    it the beginning of its thread; the rest of a thread waits for that, and a picture for all else
    in its channel: nobody is paged later because of it."""
    thread, other, reply = aliased(AlertMessage), aliased(AlertMessage), aliased(AlertMessage)
    in_thread = (
        select(func.max(reply.rank))
        .where(
            reply.thread_id == AlertMessage.id,
            reply.sent < reply.wanted,
            reply.not_before <= now,
        )
        .scalar_subquery()
    )
    most = case((in_thread > AlertMessage.rank, in_thread), else_=AlertMessage.rank)
    goes_first = (
        select(other.id)
        .where(
            other.channel == AlertMessage.channel,
            other.kind != Kind.PICTURE,
            other.sent < other.wanted,
            other.not_before <= now,
        )
        .exists()
    )
    found = session.execute(
        select(AlertMessage, AlertRow, thread.reference)
        .outerjoin(AlertRow, AlertRow.id == AlertMessage.alert_id)
        .outerjoin(thread, thread.id == AlertMessage.thread_id)
        .where(
            AlertMessage.sent < AlertMessage.wanted,
            AlertMessage.channel.regexp_match("^[A-Z]"),  # the name of a destination is small
            AlertMessage.not_before <= now,
            AlertMessage.kind == Kind.PICTURE if pictures else AlertMessage.kind != Kind.PICTURE,
            *([~goes_first] if pictures else []),
            AlertMessage.thread_id.is_(None) | thread.reference.is_not(None),
        )
        .order_by(most.desc(), AlertMessage.id)
    )
    return [Due(*row) for row in found]


def _add_alert(
    session: Session, row: AlertRow, channel: str, not_before: float, now: float
) -> None:
    """The alert's own message: in the channel, or in the thread of an alert about the same
    candidate that stands there already; then in the channel too, where it is worse than what still
    waits in that thread."""
    group = session.scalar(
        select(AlertMessage)
        .join(AlertRow, AlertRow.id == AlertMessage.alert_id)
        .where(
            AlertRow.line_id == row.line_id,
            AlertRow.candidate_digest == row.candidate_digest,
            AlertMessage.channel == channel,
            AlertMessage.kind == Kind.ALERT,
            AlertMessage.thread_id.is_(None),
        )
        .order_by(AlertMessage.id)
        .limit(1)
    )
    worse = group is not None and rank(alert_of(row)) > _waiting_rank(session, row, channel)
    parent = add_message(session, row, channel, Kind.ALERT, "", not_before, group, broadcast=worse)
    _release(session, parent, not_before)
    _add_picture(session, row, parent, now)


def _waiting_rank(session: Session, row: AlertRow, channel: str) -> int:
    """The highest rank of the other unresolved alerts about the same candidate that have a message
    in the channel; -1 where there is none."""
    others = session.scalars(
        select(AlertRow)
        .join(AlertMessage, AlertMessage.alert_id == AlertRow.id)
        .where(
            *_of_siblings(row),
            AlertMessage.channel == channel,
        )
    )
    return max((rank(alert_of(other)) for other in others), default=-1)


def _add_picture(session: Session, row: AlertRow, under: AlertMessage, now: float) -> None:
    """The figures of every comparison that flagged it, once."""
    if row.finding == Finding.FLAGGED and row.diff_id is not None:
        add_message(session, row, under.channel, Kind.PICTURE, f"picture{row.diff_id}", now, under)
