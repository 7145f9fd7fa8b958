"""The rows of messages about alerts: what kinds there are, and that each is there once."""

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.alert_steps import rank
from monitor.alerting.alerts import alert_of
from monitor.database.schema import AlertMessage, AlertRow


class Kind(StrEnum):
    """What a message is."""

    ALERT = "alert"
    """The alert itself; brought up to date with every revision."""
    REPLY = "reply"
    """A sentence in the alert's thread."""
    PICTURE = "picture"
    """The figures, in the alert's thread."""
    QUESTION = "question"
    """That somebody asks for more, in the alert's thread; its text is the id of the question."""
    ANSWER = "answer"
    """What became of a question, likewise."""
    NOTICE = "notice"
    """The alert itself, in a destination other than Slack (`monitor.alerting.notices`)."""
    OUTAGE = "outage"
    """That another channel can't be written to (`monitor.paging.outages`)."""


def messages_of(session: Session, row: AlertRow) -> Sequence[AlertMessage]:
    """All messages about one alert, sent and unsent."""
    return session.scalars(
        select(AlertMessage).filter_by(alert_id=row.id).order_by(AlertMessage.id)
    ).all()


def key_of(row: AlertRow, key: str) -> str:
    """By which a message about an alert is known in its channel."""
    return f"{row.fingerprint}.{key}".rstrip(".")


def untold(message: AlertMessage) -> bool:
    """Whether it is certain that nothing of it was ever sent."""
    return message.reference is None and message.attempted_at is None


def add_message(
    session: Session,
    row: AlertRow,
    channel: str,
    kind: Kind,
    key: str,
    not_before: float,
    under: AlertMessage | None,
    *,
    text: str = "",
    broadcast: bool = False,
) -> AlertMessage:
    """The message `key` about an alert in a channel or destination; a new one waits for the time
    `not_before`, and stands in the thread of `under`."""
    key = key_of(row, key)
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
        not_before=not_before,
    )
    session.add(message)
    session.flush()
    return message
