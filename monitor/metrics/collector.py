"""What Prometheus gets at a scrape: everything is read from the database and Redis at that moment.

The facts lie in SQL, so they survive every restart and are right whatever process died. A part that
can't be read is missing from the answer and says so in `exporter_scrape_error`; the rest is there.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib import metadata
from typing import Any

import redis
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from monitor.database import open_reader
from monitor.errors import LatentwatchError
from monitor.metrics.alerts import Answers, read_alerts
from monitor.metrics.broker import read_broker
from monitor.metrics.jobs import Ended, read_jobs
from monitor.metrics.reading import Reading, Spread, families
from monitor.metrics.running import read_running
from monitor.metrics.verdicts import read_verdicts
from monitor.metrics.versions import read_versions
from monitor.settings import Settings

CACHED_SECONDS = 5.0
_UNREADABLE = (LatentwatchError, SQLAlchemyError, redis.RedisError, OSError, ValueError)

logger = logging.getLogger(__name__)


class DatabaseCollector(Collector):
    """Reads for Prometheus, at most once in `CACHED_SECONDS` however many scrape."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings, self._clock = settings, clock
        self._ended, self._answers = Ended(), Answers()
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
                self._found, self._found_at = families(self._read(now)), now
            return list(self._found)

    def _read(self, now: float) -> Iterator[Reading | Spread]:
        yield Reading("build", (metadata.version("latentwatch"),), 1)
        parts: dict[str, Callable[[Session], Iterable[Reading | Spread]]] = {
            "versions": lambda session: read_versions(session, now),
            "jobs": lambda session: read_jobs(session, now),
            "running": lambda session: read_running(session, now),
            "alerts": lambda session: read_alerts(session, now),
            "answers": lambda session: self._answers.read(session),
            "ended": lambda session: self._ended.read(session),
            "verdicts": lambda session: read_verdicts(session, self._settings),
        }
        for part, read in parts.items():
            yield from _readable(part, partial(self._of_database, read))
        yield from _readable("broker", lambda: list(read_broker(self._settings.broker)))

    def _of_database(self, read: Callable[[Session], Iterable[Any]]) -> list[Any]:
        sessions = open_reader(self._settings.database_url)
        try:
            with sessions() as session:
                return list(read(session))
        finally:
            sessions.kw["bind"].dispose()


def _readable(part: str, read: Callable[[], list[Any]]) -> Iterator[Any]:
    try:
        found = read()
    except _UNREADABLE as error:
        logger.warning("%s can't be read: %s", part, error)
        yield Reading("exporter_scrape_error", (part,), 1)
        return
    yield Reading("exporter_scrape_error", (part,), 0)
    yield from found
