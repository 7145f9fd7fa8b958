"""Sends the messages of alerts, each exactly once whatever fails.

Before a message is posted its row says so, in a transaction of its own, with the time by the
channel's clock: that of this host may be wrong, and may be set right before the look. If the end of
the attempt is not known then (a lost reply, a killed process), the channel is asked for the message
first, after a wait in which a late request would have arrived.
"""

import logging
from collections.abc import Callable

from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from alerts.alert import UNRESOLVED
from alerts.channel import (
    Channel,
    ChannelError,
    GoneError,
    NotNowError,
    RefusedError,
    UnclearError,
)
from alerts.rate_limit import RateLimit
from monitor.alerting.messages import Kind
from monitor.alerting.outbox import Due, due
from monitor.database.schema import AlertMessage
from monitor.moments import doubled
from monitor.paging.postings import Postings

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 30.0
"""After an unclear end, the wait before the channel is asked; longer than any request may take."""
BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 5.0, 120.0
"""Waits double; the longest is how much later people may hear of it once the channel is back."""


class Poster:
    """Sends what is due, as fast as each channel allows: pictures, or all else."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        channel: Channel,
        limit: RateLimit,
        postings: Postings,
        report: Callable[[str], None],
        clock: Callable[[], float],
        pictures: bool,
    ) -> None:
        self._sessions, self._channel, self._limit = sessions, channel, limit
        self._postings = postings
        self._report, self._clock, self._pictures = report, clock, pictures

    def send_due(self) -> int:
        """Send what may be sent now; how many messages that was."""
        with self._sessions() as session:
            waiting = due(session, self._clock(), self._pictures)
        sent = 0
        for one in waiting:
            if self._limit.is_ready(one.message.channel):
                sent += self._send(one)
        return sent

    def _send(self, one: Due) -> bool:
        message = one.message
        looks = message.reference is None and message.attempted_at is not None
        try:
            shown = self._postings.of(one)
            if shown is None:
                self._write(message, sent=message.wanted, error=None, failing_since=None)
                return False
            self._limit.wrote(message.channel)
            reference = message.reference
            if looks:
                reference = self._channel.find(shown.posting, message.attempted_at or 0.0)
                looks = False
            if reference is not None and message.reference is None:
                self._write(message, reference=reference, attempted_at=None, not_before=0.0)
                return False  # whatever it shows, it is brought up to date next
            if reference is None:
                if not self._begin(message):
                    return False
                reference = self._channel.post(shown.posting)
            elif message.kind in (Kind.ALERT, Kind.OUTAGE):
                self._channel.update(shown.posting, reference)
        except ChannelError as error:
            self._failed(one, error, looks)
            return False
        except Exception as error:  # of one message: the others are to be sent all the same
            logger.exception("message %d can't be made", message.id)
            self._failed(one, RefusedError(f"{type(error).__name__}: {error}"), looks=True)
            return False
        done: dict[str, object] = {
            "tries": 0,
            "not_before": 0.0,
            "error": None,
            "failing_since": None,
        }
        self._write(message, reference=reference, attempted_at=None, sent=shown.revision, **done)
        return True

    def _begin(self, message: AlertMessage) -> bool:
        """Note that it is about to be posted; False while another process is at it."""
        attempted_at, now = self._channel.now(), self._clock()
        with self._sessions.begin() as session:
            mine = session.scalar(
                update(AlertMessage)
                .where(
                    AlertMessage.id == message.id,
                    AlertMessage.tries == message.tries,
                    AlertMessage.reference.is_(None),
                )
                .values(
                    attempted_at=attempted_at,
                    tries=message.tries + 1,
                    not_before=now + SETTLE_SECONDS,
                )
                .returning(AlertMessage.id)
            )
        return mine is not None

    def _failed(self, one: Due, error: ChannelError, looks: bool) -> None:
        """Note what to do next. While it looks for a message, what it looks for stays unclear."""
        message, now = one.message, self._clock()
        wait = doubled(BACKOFF_SECONDS, message.tries + 1, MAX_BACKOFF_SECONDS)
        values: dict[str, object] = {
            "error": str(error),
            "tries": message.tries + 1,
            "not_before": now + wait,
            "failing_since": message.failing_since or now,
        }
        if not looks and not isinstance(error, UnclearError):
            values["attempted_at"] = None
        match error:
            case NotNowError(seconds=seconds):
                self._limit.wait(message.channel, seconds)
                values |= {
                    "not_before": now + seconds,
                    # To be asked to wait is no failure, after which the next wait is longer.
                    "error": message.error,
                    "tries": message.tries,
                    "failing_since": message.failing_since,
                }
            case UnclearError():
                values["not_before"] = now + max(wait, SETTLE_SECONDS)
            case GoneError() if one.alert is None or one.alert.state not in UNRESOLVED:
                values |= {"sent": message.wanted, "failing_since": None}
            case GoneError() if message.reference is None and message.thread_id is not None:
                # It waits for the head of its thread, which is posted anew; once, since who hears
                # the same after that would have it posted without end.
                if message.error != str(error):
                    self._repost(message.thread_id, one.thread, now)
                    values["failing_since"] = message.failing_since
            case GoneError() if message.kind == Kind.ALERT:
                values["reference"] = None
            case GoneError():
                values |= {"sent": message.wanted, "failing_since": None}
        self._write(message, **values)
        if values["error"] != message.error:
            self._report(f"{message.channel}: a message about an alert could not be sent: {error}")

    def _repost(self, message_id: int, reference: str | None, now: float) -> None:
        """Have the head of a thread posted anew, which somebody has deleted, unless it does not
        stand under `reference` any more: then that was done meanwhile."""
        anew = {"reference": None, "attempted_at": None, "sent": 0, "not_before": now}
        with self._sessions.begin() as session:
            session.execute(
                update(AlertMessage)
                .where(AlertMessage.id == message_id, AlertMessage.reference == reference)
                .values(anew)
            )

    def _write(self, message: AlertMessage, **values: object) -> None:
        with self._sessions.begin() as session:
            session.execute(
                update(AlertMessage).where(AlertMessage.id == message.id).values(**values)
            )
