"""What Prometheus gets at a scrape: everything is read from the database and Redis at that moment.

The facts lie in SQL, so they survive every restart and are right whatever process died. A part that
can't be read is missing from the answer and says so in `exporter_scrape_error`; the rest is there.
However slow the database and Redis are, the answer comes before Prometheus gives up, after 10 s.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import Any

import redis
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from monitor.database.opening import Hurry, in_words, open_reader
from monitor.errors import LatentwatchError
from monitor.metrics.alerts import Answers, read_alerts
from monitor.metrics.broker import read_broker
from monitor.metrics.jobs import Ended, read_jobs
from monitor.metrics.questions import Asked
from monitor.metrics.reading import Reading, Spread, families
from monitor.metrics.running import read_running
from monitor.metrics.verdicts import Newest, Unreadable
from monitor.metrics.versions import read_versions
from monitor.settings import Settings

CACHED_SECONDS = 5.0
HURRY = Hurry(statement=3.0, connection=5.0, connecting=2)
_UNREADABLE = (LatentwatchError, SQLAlchemyError, redis.RedisError, OSError, ValueError)

logger = logging.getLogger(__name__)


class DatabaseCollector(Collector):
    """Reads for Prometheus, at most once in `CACHED_SECONDS` however many scrape."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings, self._clock = settings, clock
        self._has_broker = settings.broker.url is not None
        self._ended, self._answers, self._unreadable = Ended(), Answers(), Unreadable()
        self._asked, self._newest = Asked(), Newest()
        self._lock = threading.Lock()
        self._found: list[Metric] = []
        self._found_at = float("-inf")

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that being registered reads nothing."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """All families."""
        with self._lock:
            now = self._clock()
            if not 0 <= now - self._found_at < CACHED_SECONDS:
                self._found, self._found_at = families(self._read(now)), self._clock()
            return list(self._found)

    def _read(self, now: float) -> Iterator[Reading | Spread]:
        yield Reading("build", (metadata.version("latentwatch"),), 1)
        parts: dict[str, Callable[[Session], Iterable[Reading | Spread]]] = {
            "versions": lambda session: read_versions(session, self._settings.lines, now),
            "jobs": lambda session: read_jobs(session, now, self._has_broker),
            "running": lambda session: read_running(session, self._settings.broker, now),
            "alerts": lambda session: read_alerts(session, self._settings.alerts.routes, now),
            "questions": lambda session: self._asked.read(session, now),
            "answers": lambda session: self._answers.read(session),
            "ended": lambda session: self._ended.read(session),
            "verdicts": lambda session: self._newest.read(session, self._settings),
            "unreadable": lambda session: self._unreadable.read(session),
        }
        yield from self._of_database(parts)
        try:
            found = list(read_broker(self._settings.broker))
        except _UNREADABLE as error:
            yield _unreadable("broker", error)
        else:
            yield from _readable("broker", found)

    def _of_database(
        self, parts: dict[str, Callable[[Session], Iterable[Reading | Spread]]]
    ) -> Iterator[Reading | Spread]:
        """All parts over one connection; without it none is tried any more."""
        try:
            sessions = open_reader(self._settings.database_url, HURRY)
        except _UNREADABLE as error:
            yield from (_unreadable(part, error) for part in parts)
            return
        lost: DBAPIError | None = None
        try:
            with sessions() as session:
                for part, read in parts.items():
                    if lost is not None:
                        yield _unreadable(part, lost)
                        continue
                    try:
                        found = list(read(session))
                    except _UNREADABLE as error:
                        yield _unreadable(part, error)
                        if isinstance(error, DBAPIError) and error.connection_invalidated:
                            lost = error
                        else:
                            session.rollback()
                    else:
                        yield from _readable(part, found)
        finally:
            sessions.kw["bind"].dispose()


def _readable(part: str, found: list[Any]) -> Iterator[Any]:
    yield Reading("exporter_scrape_error", (part,), 0)
    yield from found


def _unreadable(part: str, error: Exception) -> Reading:
    said = in_words(error) if isinstance(error, LatentwatchError | SQLAlchemyError) else error
    logger.warning("%s can't be read: %s", part, said)
    return Reading("exporter_scrape_error", (part,), 1)
