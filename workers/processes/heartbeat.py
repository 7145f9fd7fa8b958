"""Keeps the lease of what was claimed while it is worked on, and notices when it is lost."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from monitor.database.opening import in_words
from monitor.errors import CancelledError, LatentwatchError, LeaseLostError
from monitor.jobs import diff_claims
from monitor.jobs.progress import Step
from monitor.jobs.readings import Readings
from workers.progress import DiffProgress

logger = logging.getLogger(__name__)

LEASE_SECONDS = 120.0
BEAT_SECONDS = 5.0


class Told(NamedTuple):
    """What is noted with a renewal."""

    stage: str | None
    step: Step | None
    readings: Readings | None


Renew = Callable[[Session, float, Told], str | None]
"""Renews the lease at a time for LEASE_SECONDS and notes how far the work is; why it is to be
cancelled, None if it isn't. Raises LeaseLostError."""


class Heartbeat:
    """Renews the lease by `renew` from a thread of its own, for as long as the block runs.

    It is also the progress of the work: stages and steps are noted in the row, and every step
    raises LeaseLostError once another process has taken the work over, or may have since the lease
    could not be renewed in time, and CancelledError once somebody has asked for it to be cancelled.
    """

    def __init__(
        self,
        sessions: sessionmaker[Session],
        renew: Renew,
        progress: DiffProgress,
        clock: Callable[[], float],
    ) -> None:
        self._sessions = sessions
        self._renew = renew
        self._progress = progress
        self._clock = clock
        self._stage: str | None = None
        self._step: Step | None = None
        self._readings: Readings | None = None
        self._began_at = self._moved_at = clock()
        self._kept_at = time.monotonic()
        self._end: LatentwatchError | None = None
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
        self._stage, self._step, self._moved_at = stage, None, self._clock()
        self.confirm()
        self._progress.begin(stage)

    def step(self, what: str, done: int, total: int) -> None:
        self.raise_if_ended()
        began = self._step
        if began is None or began.what != what or done < began.done:
            began = Step(what, done, total, self._clock(), done)
        step = began._replace(done=done, total=total)
        if step != self._step:  # to be told the same again is no movement
            self._moved_at = self._clock()
        self._step = step
        self._progress.step(what, done, total)

    def note(self, readings: Readings) -> None:
        """What the comparing process takes; told with the next renewal."""
        self._readings = readings._replace(began_at=self._began_at)

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        self._progress.end(stage, seconds, reused)

    def confirm(self) -> None:
        """Renew the lease now. Raises LeaseLostError or CancelledError when it is over: what this
        process would write then is no longer its to write."""
        self._beat()
        self.raise_if_ended()

    def _run(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            self._beat()

    def _beat(self) -> None:
        asked_at = time.monotonic()
        try:
            with self._sessions.begin() as session:
                readings = self._readings and self._readings._replace(moved_at=self._moved_at)
                told = Told(self._stage, self._step, readings)
                cancel_reason = self._renew(session, self._clock(), told)
            self._kept_at = asked_at
            if cancel_reason is not None:
                self._end = CancelledError(f"cancelled: {cancel_reason}")
        except LeaseLostError as error:
            self._end = error
        except SQLAlchemyError as error:
            # The lease outlives several beats, so the next one may still be in time.
            logger.warning("a lease could not be renewed: %s", in_words(error))

    def raise_if_ended(self) -> None:
        """Raises LeaseLostError or CancelledError when this process has to stop."""
        if self._end is not None:
            raise self._end
        # Here, since a beat may hang in a connection that is dead.
        if time.monotonic() - self._kept_at > LEASE_SECONDS:
            raise LeaseLostError("the lease could not be renewed in time: the database was away")


def renewal_of(diff_id: int, fence: int) -> Renew:
    """Renews the lease of a claimed diff."""
    return lambda session, now, told: diff_claims.heartbeat(
        session, diff_id, fence, now, LEASE_SECONDS, *told
    )
