"""The processes of a simulated schedule: each takes one small step at a time.

What they call is what the real processes call: rounds, outbox, reconciler, claims and conclusions.
"""

from collections.abc import Iterator
from contextlib import suppress
from itertools import count

from sqlalchemy.exc import SQLAlchemyError

from deploy.bench.chaos.ledger import recorded
from deploy.bench.chaos.world import Clock, FailingBroker, FailingDatabase, FullStore
from deploy.bench.fake_stages import Moment, compare_in_moments
from monitor.errors import CancelledError, LatentwatchError, LeaseLostError
from monitor.jobs import diff_claims
from monitor.jobs.outbox import relay
from monitor.settings import Settings
from monitor.watching.line_watch import Around, LineWatch
from monitor.watching.rounds import RETRY_SECONDS
from workers.dispatch.claim import Claim, claim_of, job_of
from workers.dispatch.conclusion import Conclusion, conclude
from workers.dispatch.service import reconcile_once
from workers.dispatch.workplace import WRITE_SECONDS, with_errors
from workers.processes.heartbeat import BEAT_SECONDS, LEASE_SECONDS
from workers.processes.supervisor import Ending
from workers.verdicts.outcome import Outcome

_processes = count(1)


def _new_owner() -> str:
    """A process of another host: whether it lives, nobody can tell from here."""
    return f"another-host:{next(_processes)}:0.00"


class Surroundings:
    """What the actors of one schedule share; for watchers, who wakes the workers."""

    def __init__(
        self, database: FailingDatabase, settings: Settings, recipe: str, clock: Clock
    ) -> None:
        self.database, self.settings, self.recipe, self.clock = database, settings, recipe, clock
        self.broker = FailingBroker(clock)
        self.store = FullStore(settings.store_dir)
        self.sessions = database.as_sessions()

    def recipe_digest(self) -> str:
        return self.recipe

    def run_queued(self) -> None:
        relay(self.sessions, self.broker.send, self.clock())

    def run_next(self) -> bool:
        self.run_queued()
        return False


class Watcher:
    """Looks, queues and sends in turn, as `monitor.watching.rounds.watch_forever` does."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self.restart()

    def restart(self) -> None:
        around = self._around
        self._line = LineWatch(
            around.settings.lines[0],
            around.settings,
            Around(around.sessions, around, lambda _: None, around.clock, lambda _: None),
        )
        self._turn = 0

    def step(self) -> None:
        around = self._around
        self._turn = (self._turn + 1) % 3
        if self._turn == 1:
            self._line.look()
        elif self._turn == 2:
            self._line.queue(around.recipe, RETRY_SECONDS)
        else:
            with suppress(LatentwatchError, SQLAlchemyError):  # told, and tried again
                around.run_queued()


class Reconciler:
    """One of several; the others wait for its lease to run out."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self.restart()

    def restart(self) -> None:
        self._owner = _new_owner()

    def step(self) -> None:
        around = self._around
        with suppress(LatentwatchError, SQLAlchemyError):  # told, and tried again
            reconcile_once(
                around.sessions,
                around.broker.depths,
                around.broker.send,
                lambda _: None,
                around.clock,
                self._owner,
            )


class Worker:
    """Takes a message, claims, compares moment by moment and writes what came of it."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._hangs_until = 0.0
        self.restart()

    def restart(self) -> None:
        """Its memory is gone; what it wrote and did not acknowledge is not."""
        self._owner = _new_owner()
        self._tag: int | None = None
        self._claim: Claim | None = None
        self._moments: Iterator[Moment | Outcome] | None = None
        self._conclusion: Conclusion | None = None
        self._beaten_at = self._concluded_at = self._hangs_before_writing = 0.0

    @property
    def is_busy(self) -> bool:
        return self._claim is not None

    @property
    def hangs(self) -> bool:
        return self._around.clock() < self._hangs_until

    @property
    def is_to_hang(self) -> bool:
        """Whether it hangs, or will once it has a result."""
        return self.hangs or self._hangs_before_writing > 0.0

    def step(self) -> None:
        if self.hangs:
            return
        if self._claim is None:
            self._take()
        elif self._conclusion is None:
            self._work(self._claim)
        else:
            self._write(self._conclusion)

    def hang(self, seconds: float, before_writing: bool) -> None:
        """Do nothing for so long: from now on, or from when there is a result to be written."""
        if before_writing:
            self._hangs_before_writing = seconds
        else:
            self._hangs_until = self._around.clock() + seconds

    def end(self, ended: Outcome | Ending) -> bool:
        """The comparison has ended so; what came of it is written from the next step on. False when
        there was none."""
        if self._claim is None or self._conclusion is not None:
            return False
        self._moments = None
        self._conclusion = recorded(conclude)(self._claim, ended)
        self._concluded_at = self._around.clock()
        if self._hangs_before_writing:
            self.hang(self._hangs_before_writing, before_writing=False)
            self._hangs_before_writing = 0.0
        return True

    def _take(self) -> None:
        taken = self._around.broker.take()
        if taken is None:
            return
        self._tag, message = taken
        try:
            with self._around.sessions.begin() as session:
                diff = diff_claims.claim_due(
                    session, message.diff_id, self._around.clock(), self._owner, LEASE_SECONDS
                )
                claim = None if diff is None else claim_of(session, diff)
        except SQLAlchemyError:
            claim = None  # the task fails, and its message is acknowledged
        self._claim, self._beaten_at = claim, self._around.clock()
        if claim is None:
            self._done()

    def _work(self, claim: Claim) -> None:
        try:
            moment = with_errors(claim.name, lambda: self._next(claim))
        except LeaseLostError:
            self._done()
        else:
            if not isinstance(moment, Moment):
                self.end(moment)

    def _next(self, claim: Claim) -> Moment | Outcome:
        around = self._around
        if around.clock() >= self._beaten_at + BEAT_SECONDS:
            self._beat(claim)
        if self._moments is None:
            job = job_of(around.sessions, around.settings, claim)
            self._moments = compare_in_moments(job, around.store)
        moment = next(self._moments)
        if isinstance(
            moment, Outcome
        ):  # as `workers.dispatch.supervised` confirms before it reports
            self._beat(claim)
        return moment

    def _beat(self, claim: Claim) -> None:
        now = self._around.clock()
        try:
            with self._around.sessions.begin() as session:
                reason = diff_claims.heartbeat(
                    session, claim.diff_id, claim.fence, now, LEASE_SECONDS
                )
        except SQLAlchemyError:
            return  # the lease outlives several beats
        self._beaten_at = now
        if reason is not None:
            raise CancelledError(reason)

    def _write(self, conclusion: Conclusion) -> None:
        now = self._around.clock()
        try:
            with self._around.sessions.begin() as session:
                conclusion.write(session, now)
        except LeaseLostError:
            pass
        except SQLAlchemyError:
            if now < self._concluded_at + WRITE_SECONDS:
                return
        self._done()

    def _done(self) -> None:
        if self._tag is not None:
            self._around.broker.acknowledge(self._tag)
        self._tag = self._claim = self._moments = self._conclusion = None
