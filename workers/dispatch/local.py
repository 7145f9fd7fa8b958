"""Has the queued diffs of the database compared, one after the other, each in a process of its own,
and in between questions about alerts answered. Free of torch."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from sqlalchemy.orm import Session, sessionmaker

from monitor.jobs.diff_claims import claim_next
from monitor.owner import this_process
from monitor.settings import Settings
from workers.dispatch.claim import Claim, claim_of, present_recipe
from workers.dispatch.questions import answer_due
from workers.dispatch.supervised import run_claimed
from workers.dispatch.traces import check_traces
from workers.dispatch.workplace import COMPARE_COMMAND, Workplace
from workers.processes.heartbeat import LEASE_SECONDS
from workers.processes.interrupts import Interrupts
from workers.processes.supervisor import Ending
from workers.progress import DiffProgress
from workers.verdicts.outcome import Outcome

LOCAL = "local"
"""The name under which it is seen where workers are named."""


class LocalWorker:
    """For one host without a broker: who queues diffs also supervises the processes that compare
    them."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        settings: Settings,
        progress: Callable[[], AbstractContextManager[DiffProgress]],
        report: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        command: Sequence[str] = COMPARE_COMMAND,
    ) -> None:
        """Raises SettingsError when traces are asked for and can't be made."""
        check_traces(settings.traces)
        self._interrupts = Interrupts(report)
        self._place = Workplace(
            sessions,
            settings,
            command,
            self._interrupts.must_stop,
            LOCAL,
            clock,
            progress=progress,
            report=report,
        )

    def recipe_digest(self) -> str:
        """The recipe by which this worker compares. Raises InputsError for unusable inputs."""
        return present_recipe(self._place.settings)

    def run_queued(self) -> None:
        """Run all diffs that are due, and those of processes that were killed. Before each of them
        all questions are answered, for which somebody waits.

        What became of them is in their rows and was reported. After a crash a diff is due again
        some time later, in another call. Ctrl-C and SIGTERM have what runs save its work, give it
        back and then do what they do; the second one gives it back at once.
        """
        while self.run_next():
            pass

    def run_next(self) -> bool:
        """As `run_queued`, but only what comes first; False when nothing is due."""
        with self._interrupts.put_off():
            claim = self._claim_after_questions()
            if claim is None:
                return False
            run_claimed(self._place, claim)
            return True

    def claim(self, session: Session, diff_id: int | None = None) -> Claim | None:
        """Claim what comes first, or the diff `diff_id`, in the caller's transaction; None when
        it is done or somebody else is at work on it."""
        diff = claim_next(session, self._place.clock(), this_process(), LEASE_SECONDS, diff_id)
        return None if diff is None else claim_of(session, diff)

    def run(self, claim: Claim) -> Outcome | Ending | None:
        """Run a claimed diff, as `run_queued`; how it ended, None when it was taken over."""
        with self._interrupts.put_off():
            return run_claimed(self._place, claim)

    def _claim_after_questions(self) -> Claim | None:
        while not self._place.must_stop():
            if not answer_due(self._place):
                with self._place.sessions.begin() as session:
                    return self.claim(session)
        return None
