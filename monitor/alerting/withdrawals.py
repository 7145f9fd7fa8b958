"""Messages that are no longer wanted: taken back while nobody has seen them."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from monitor.alerting.alerts import alert_of
from monitor.alerting.messages import Kind, messages_of, untold
from monitor.alerting.news import lapsed_proposals
from monitor.database.schema import AlertMessage, AlertRow


def withdrawn(session: Session, row: AlertRow, message: AlertMessage) -> bool:
    """Take back an alert that was resolved before it was posted; whether that was done."""
    if alert_of(row).unresolved or not untold(message):
        return False
    return take_back(session, row, message)


def take_back(session: Session, row: AlertRow, message: AlertMessage) -> bool:
    """Delete an alert's own message, with all that is said of the alert in its channel, unless
    another alert stands in its thread."""
    in_thread = select(AlertMessage).filter_by(thread_id=message.id)
    if any(reply.alert_id != row.id for reply in session.scalars(in_thread)):
        return False
    for reply in messages_of(session, row):
        if reply.channel == message.channel and reply.id != message.id:
            session.delete(reply)
    session.flush()
    session.delete(message)
    session.flush()
    return True


def withdraw_calls(session: Session, row: AlertRow, now: float) -> None:
    """Take back what was to be said after the quiet hours: of an alert that is resolved now all,
    else the proposals to trust it that stand no more."""
    lapsed = lapsed_proposals(session, row) if alert_of(row).unresolved else None
    for reply in messages_of(session, row):
        held = reply.tries == 0 and reply.not_before > now
        over = lapsed is None or reply.key in lapsed
        if reply.kind == Kind.REPLY and held and over and untold(reply):
            session.delete(reply)
    session.flush()
