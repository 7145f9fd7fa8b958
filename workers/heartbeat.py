"""Keeps the lease of a claimed diff while it is worked on, and notices when it is lost."""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from monitor.errors import LeaseLostError
from monitor.jobs import heartbeat
from workers.progress import DiffProgress

logger = logging.getLogger(__name__)

LEASE_SECONDS = 120.0
BEAT_SECONDS = 20.0


class Heartbeat:
    """Renews the lease from a thread of its own, for as long as the block runs.

    It is also the progress of the diff: every stage is noted in the row, and every step raises
    LeaseLostError once another process has taken the diff over.
    """

    def __init__(
        self,
        sessions: sessionmaker[Session],
        diff_id: int,
        fence: int,
        progress: DiffProgress,
        clock: Callable[[], float],
    ) -> None:
        self._sessions = sessions
        self._diff_id, self._fence = diff_id, fence
        self._progress = progress
        self._clock = clock
        self._stage: str | None = None
        self._lost: LeaseLostError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def begin(self, stage: str) -> None:
        self._stage = stage
        self._beat()
        self._raise_if_lost()
        self._progress.begin(stage)

    def step(self, what: str, done: int, total: int) -> None:
        self._raise_if_lost()
        self._progress.step(what, done, total)

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        self._progress.end(stage, seconds, reused)

    def _run(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            self._beat()

    def _beat(self) -> None:
        try:
            with self._sessions.begin() as session:
                heartbeat(
                    session, self._diff_id, self._fence, self._clock(), LEASE_SECONDS, self._stage
                )
        except LeaseLostError as error:
            self._lost = error
        except SQLAlchemyError:
            # The lease outlives several beats, so the next one may still be in time.
            logger.warning(
                "the lease of diff %d could not be renewed", self._diff_id, exc_info=True
            )

    def _raise_if_lost(self) -> None:
        if self._lost is not None:
            raise self._lost
