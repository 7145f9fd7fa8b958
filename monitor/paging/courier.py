"""Tells one destination of alerts, at least once each, at its own pace: whatever it does, nothing
else waits for it.

What was sent and not confirmed is sent again; by what a repetition is recognised, each destination
says. A destination that does not answer is left alone for a while as a whole.
"""

import logging
from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from sqlalchemy import case, literal, select, update
from sqlalchemy.orm import Session, sessionmaker

from alerts.alert import AlertState
from alerts.channel import ChannelError, NotNowError, RefusedError, UnclearError
from alerts.destinations.notice import Destination, Notice, Told, Trouble
from alerts.pages.missing_evidence import is_missing
from monitor.alerting.alerts import subject_of
from monitor.alerting.messages import Kind
from monitor.alerting.view import AlertView, view_of
from monitor.database.schema import AlertMessage, AlertRow, Audit
from monitor.moments import doubled
from monitor.paging.outages import DOWN, outage_of
from monitor.paging.poster import BACKOFF_SECONDS, MAX_BACKOFF_SECONDS
from monitor.paging.postings import Results, report_of

logger = logging.getLogger(__name__)


class Read(NamedTuple):
    """What the database says of an alert for its notice; what lies elsewhere is read later."""

    notice: Notice
    """Without its report."""
    view: AlertView


class _Waiting(NamedTuple):
    message: AlertMessage
    content: Read | Trouble


class Courier:
    """Sends what is due to the destination `name`."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        name: str,
        destination: Destination,
        results: Results,
        report: Callable[[str], None],
        clock: Callable[[], float],
        elapsed: Callable[[], float],
        telling: Lock,
    ) -> None:
        """`elapsed` is a clock that nobody sets; `telling` is held while something is told."""
        self._sessions, self._name, self._destination = sessions, name, destination
        self._results, self._report, self._clock = results, report, clock
        self._elapsed, self._telling = elapsed, telling
        self._rests_until = float("-inf")
        self._failures = 0
        self._unanswered: list[int] = []
        """The tries since the last one that got through, by their messages."""
        self._alone: Counter[int] = Counter()
        """How often each message failed alone, while others got through."""

    def send_due(self) -> int:
        """Send what may be sent now; how many messages that was."""
        sent = 0
        for message in self._due():
            if self._elapsed() < self._rests_until:
                break
            was_away = bool(self._unanswered)
            with self._telling:
                sent += self._send(message)
            if was_away and not self._unanswered:  # it is there again: the worst goes next
                return sent + self.send_due()
        return sent

    def _due(self) -> list[AlertMessage]:
        """What needs most attention first, and last what failed alone twice: that is its own fault.

        While nothing gets through, what was tried least goes first, however urgent the rest is: so
        it is found out whether the destination is away, or fails at one message.
        """
        with self._sessions() as session:
            chosen = (
                select(AlertMessage)
                .where(
                    AlertMessage.channel == self._name,
                    AlertMessage.sent < AlertMessage.wanted,
                    AlertMessage.not_before <= self._clock(),
                )
                .order_by(AlertMessage.rank.desc(), AlertMessage.id)
            )
            due = list(session.scalars(chosen))
        if self._unanswered:
            return sorted(due, key=lambda message: message.tries)
        return sorted(due, key=lambda message: self._alone[message.id] > 1)

    def _send(self, before: AlertMessage) -> bool:
        try:
            waiting = self._begin(before.id)
            if waiting is None:
                return False
            message, content = waiting
            if isinstance(content, Trouble):
                shown = message.wanted
                reference = self._destination.tell_trouble(content, self._clock())
            else:
                notice = notice_of(content, self._results)
                shown = notice.alert.revision
                reference = self._destination.tell(notice, self._clock())
        except ChannelError as error:
            self._failed(before, error)
            return False
        except Exception as error:  # of one message: the others are to be sent all the same
            logger.exception("message %d can't be made", before.id)
            self._failed(before, RefusedError(f"{type(error).__name__}: {error}"))
            return False
        self._failures = 0
        self._write(
            message,
            reference=message.reference or reference,
            sent=shown,
            tries=0,
            not_before=0.0,
            error=None,
            failing_since=None,
        )
        self._got_through(message)
        return True

    def _got_through(self, message: AlertMessage) -> None:
        """The destination is there: what failed once between two that got through may have itself
        to blame; of what failed beside others, or again and again, nobody knows that."""
        if len(self._unanswered) == 1:
            self._alone.update(self._unanswered)
        self._unanswered = []
        del self._alone[message.id]

    def _begin(self, message_id: int) -> _Waiting | None:
        """The message with what it is to show now, noted as tried; None where it was withdrawn."""
        now = self._clock()
        with self._sessions.begin() as session:
            message = session.get(AlertMessage, message_id)
            if message is None or message.not_before > now:
                return None
            message.attempted_at = now
            if message.kind == Kind.OUTAGE:
                return _Waiting(message, trouble_of(message))
            return _Waiting(message, read_alert(session, message))

    def _failed(self, message: AlertMessage, error: ChannelError) -> None:
        """Note what to do next; `message` is as it was before the try."""
        now = self._clock()
        wait = _backoff(message.tries)
        if not isinstance(error, RefusedError):
            self._unanswered.append(message.id)
        if isinstance(error, NotNowError):  # it is there, and says when it can be told
            wait = max(error.seconds, BACKOFF_SECONDS)
            self._rests_until = self._elapsed() + wait
        elif not isinstance(error, RefusedError):
            self._rests_until = self._elapsed() + _backoff(self._failures)
            self._failures += 1
        values: dict[str, object] = {
            "error": str(error),
            "tries": message.tries + 1,
            "not_before": now + wait,
            "failing_since": message.failing_since or now,
        }
        if not isinstance(error, UnclearError):  # certainly not taken by this try
            values["attempted_at"] = message.attempted_at
        self._write(message, **values)
        if values["error"] != message.error:
            self._report(f"{self._name}: an alert could not be sent: {error}")

    def _write(self, message: AlertMessage, **values: object) -> None:
        """Note the end of a try with `message`. When it is to be told next stays as it is where the
        alert has changed meanwhile: what waits for the end of quiet hours goes on waiting."""
        if "not_before" in values:
            as_tried = AlertMessage.wanted == message.wanted
            given = literal(values["not_before"])
            values["not_before"] = case((as_tried, given), else_=AlertMessage.not_before)
        with self._sessions.begin() as session:
            session.execute(
                update(AlertMessage).where(AlertMessage.id == message.id).values(**values)
            )


def read_alert(session: Session, message: AlertMessage) -> Read:
    """What is known of the alert of `message` without a look at its results, which may lie in a
    slow place: the whole installation would wait for that, since transactions follow each other."""
    row = session.get_one(AlertRow, message.alert_id)
    view = view_of(session, row)
    told = _told(session, row, message.sent)
    notice = Notice(
        *(row.fingerprint, view.alert, view.shown, None),
        *(told, message.reference, view.names),
    )
    return Read(notice, view)


def notice_of(read: Read, results: Results) -> Notice:
    """What a destination is told: with the report, where there is one to be seen."""
    try:
        url = report_of(read.view, results)
        if url is None or is_missing(results.evidence(read.view.verdict)):
            return read.notice
    except Exception:  # of whatever keeps the results: who is to be paged does not wait for it
        logger.exception("the results of alert %s can't be read", read.notice.fingerprint)
        return read.notice
    return read.notice._replace(report_url=url)


def trouble_of(message: AlertMessage) -> Trouble:
    """What a destination is told of the outage that `message` holds."""
    outage = outage_of(message.text)
    over = message.wanted > DOWN
    return Trouble(outage.key, outage.channel, outage.sentence, outage.since, over)


def _told(session: Session, row: AlertRow, revision: int) -> Told | None:
    """The state of the alert in `revision`: the n-th audit row of an alert is its n-th revision."""
    if revision == 0:
        return None
    audit = session.scalar(
        select(Audit)
        .filter_by(subject=subject_of(row))
        .order_by(Audit.id)
        .offset(revision - 1)
        .limit(1)
    )
    return None if audit is None else Told(AlertState(audit.to_state), audit.at)


def _backoff(failures: int) -> float:
    return doubled(BACKOFF_SECONDS, failures + 1, MAX_BACKOFF_SECONDS)
