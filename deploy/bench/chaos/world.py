"""The surroundings of a simulated schedule: a clock, a database, a broker and a disk that fail.

The database, its rows and the store are real; only time, messages and processes are made up, so
that a schedule of hours takes a second and can be repeated from its seed.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from monitor.errors import BrokerError
from monitor.jobs.outbox import QUEUES, Message
from workers.errors import StoreError
from workers.keeping.store import LocalStore

VISIBILITY_SECONDS = 900.0


class Clock:
    """Seconds since the epoch, which pass only when told to."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FailingDatabase:
    """Sessions on a real database that can be away, or commit and lose the answer."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self.inner = sessions
        self.is_away = False
        self.loses_next_answer = False

    def __call__(self) -> Session:
        self._check()
        return self.inner()

    @contextmanager
    def begin(self) -> Iterator[Session]:
        self._check()
        with self.inner.begin() as session:
            yield session
        if self.loses_next_answer:
            self.loses_next_answer = False
            raise _lost()

    def as_sessions(self) -> sessionmaker[Session]:
        return cast("sessionmaker[Session]", self)

    def _check(self) -> None:
        if self.is_away:
            raise _lost()


class FailingBroker:
    """Messages in memory, delivered at least once: like Redis under Celery."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[str, deque[Message]] = {queue: deque() for queue in QUEUES}
        self._unacked: dict[int, tuple[float, Message]] = {}
        self._tags = 0
        self.is_away = False

    def send(self, message: Message) -> None:
        self._check()
        self._waiting[message.queue].append(message)

    def depths(self) -> dict[str, int]:
        self._check()
        return {queue: len(waiting) for queue, waiting in self._waiting.items()}

    def take(self) -> tuple[int, Message] | None:
        """The next message and its tag; None when there is none or nobody can be asked."""
        if self.is_away:
            return None
        self._restore(self._clock() - VISIBILITY_SECONDS)
        for waiting in self._waiting.values():
            if waiting:
                self._tags += 1
                message = waiting.popleft()
                self._unacked[self._tags] = (self._clock(), message)
                return self._tags, message
        return None

    def acknowledge(self, tag: int) -> None:
        if not self.is_away:
            self._unacked.pop(tag, None)

    def forget(self) -> None:
        """All data is gone."""
        self._unacked.clear()
        for waiting in self._waiting.values():
            waiting.clear()

    def redeliver(self) -> bool:
        """Deliver again whatever nobody has acknowledged; False when there is nothing."""
        had_any = bool(self._unacked)
        self._restore(float("inf"))
        return had_any

    def _restore(self, taken_before: float) -> None:
        for tag, (taken_at, message) in list(self._unacked.items()):
            if taken_at <= taken_before:
                del self._unacked[tag]
                self._waiting[message.queue].appendleft(message)

    def _check(self) -> None:
        if self.is_away:
            raise BrokerError("Redis can't be reached")


class FullStore(LocalStore):
    """A store on a disk that may have no room."""

    is_full = False

    @contextmanager
    def put(self, key: str) -> Iterator[Path]:
        self._check()
        with super().put(key) as directory:
            yield directory

    def work(self, key: str) -> Path:
        self._check()
        return super().work(key)

    def _check(self) -> None:
        if self.is_full:
            raise StoreError("no room to keep a result")


def _lost() -> OperationalError:
    return OperationalError("", {}, Exception("server closed the connection unexpectedly"))
