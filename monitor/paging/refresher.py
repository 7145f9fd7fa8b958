"""Tells an Alertmanager again of what is unresolved, before it takes that for resolved.

When it was told last is not kept: after a restart everything is told again at once.
"""

from collections.abc import Callable, Mapping, Sequence
from threading import Lock

from sqlalchemy import ColumnElement, Select, func, or_, select, update
from sqlalchemy.orm import Session, sessionmaker

from alerts.alert import UNRESOLVED
from alerts.channel import ChannelError
from alerts.destinations.alertmanager import Alertmanager
from alerts.destinations.notice import Notice
from monitor.alerting.messages import Kind
from monitor.database.schema import AlertMessage, AlertRow
from monitor.paging.courier import notice_of, read_alert, trouble_of
from monitor.paging.outages import DOWN
from monitor.paging.postings import Results


class Refresher:
    """Repeats what the destination `name` was told, every `seconds`."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        name: str,
        alertmanager: Alertmanager,
        seconds: float,
        results: Results,
        clock: Callable[[], float],
        elapsed: Callable[[], float],
        telling: Lock,
    ) -> None:
        """`elapsed` is a clock that nobody sets; `telling` is held while something is told."""
        self._sessions, self._name, self._alertmanager = sessions, name, alertmanager
        self._seconds, self._results, self._clock = seconds, results, clock
        self._elapsed, self._telling = elapsed, telling
        self._next = float("-inf")

    def send_due(self) -> int:
        """Tell again what is due; how many alerts that was. A failure is noted with what could not
        be told, and tried again next time."""
        if self._elapsed() < self._next:
            return 0
        self._next = self._elapsed() + self._seconds
        now = self._clock()
        with self._sessions() as session:
            told = list(session.scalars(_unresolved(self._name, now)))
            read = {m.id: read_alert(session, m) for m in told if m.kind == Kind.NOTICE}
        notices = {message_id: notice_of(one, self._results) for message_id, one in read.items()}
        with self._telling:
            # What was told otherwise while evidence was read, such as that it is over, is not to be
            # told as it was before: nothing would tell it once more.
            with self._sessions() as session:
                as_read = {(one.id, one.sent, one.wanted) for one in told}
                still = [
                    one
                    for one in session.scalars(_unresolved(self._name, now))
                    if (one.id, one.sent, one.wanted) in as_read
                ]
            return self._tell(still, notices, now)

    def _tell(self, told: Sequence[AlertMessage], notices: Mapping[int, Notice], now: float) -> int:
        troubles = [trouble_of(message) for message in told if message.kind == Kind.OUTAGE]
        again = [notices[message.id] for message in told if message.kind == Kind.NOTICE]
        try:
            if again:
                self._alertmanager.tell_all(again, now)
            for trouble in troubles:
                self._alertmanager.tell_trouble(trouble, now)
        except ChannelError as error:
            since = func.coalesce(AlertMessage.failing_since, now)
            self._note(told, now, error=str(error), failing_since=since)
            return 0
        self._note([m for m in told if m.failing_since], now, error=None, failing_since=None)
        return len(told)

    def _note(self, messages: Sequence[AlertMessage], now: float, **values: object) -> None:
        with self._sessions.begin() as session:
            ids = [message.id for message in messages]
            session.execute(
                update(AlertMessage)
                .where(AlertMessage.id.in_(ids), _was_told(now))
                .values(**values)
            )


def _was_told(now: float) -> ColumnElement[bool]:
    """What nobody else tells now, of which something was told: also what waits with a change, for
    the end of quiet hours or for another try, is not to end there meanwhile."""
    waits = AlertMessage.not_before > now
    return (AlertMessage.sent > 0) & ((AlertMessage.sent == AlertMessage.wanted) | waits)


def _unresolved(name: str, now: float) -> Select[AlertMessage]:
    """What the destination `name` was told, and is not over."""
    return (
        select(AlertMessage)
        .outerjoin(AlertRow, AlertRow.id == AlertMessage.alert_id)
        .where(
            AlertMessage.channel == name,
            _was_told(now),
            or_(
                AlertRow.state.in_(UNRESOLVED),
                (AlertMessage.kind == Kind.OUTAGE) & (AlertMessage.wanted == DOWN),
            ),
        )
    )
