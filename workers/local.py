"""Runs the queued diffs of the database in this process, one after the other, and in between has
questions about alerts answered."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from sqlalchemy.orm import Session, sessionmaker

from alerts.verdict import to_json
from alerts.wording import verdict_word
from monitor.diff_claims import claim_next
from monitor.diff_endings import cancelled, fail, finish, release
from monitor.errors import CancelledError, LatentwatchError, LeaseLostError
from monitor.fetching import fetching
from monitor.history import line_history
from monitor.owner import this_process
from monitor.settings import Settings
from workers.carrier import carried
from workers.claim import Claim, calibration_of, claim_of, job_of, present_recipe
from workers.diff import run_diff
from workers.heartbeat import LEASE_SECONDS, Heartbeat, renewal_of
from workers.kept_outcomes import keep_outcome
from workers.outcome import Outcome
from workers.progress import DiffProgress
from workers.questions import answer_due
from workers.store import LocalStore
from workers.template_trial import try_templates
from workers.workplace import COMPARE_COMMAND, Workplace

logger = logging.getLogger(__name__)


class LocalWorker:
    """Compares versions in this process."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        settings: Settings,
        progress: Callable[[], AbstractContextManager[DiffProgress]],
        report: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sessions = sessions
        self._settings = settings
        self._progress = progress
        self._report = report
        self._clock = clock

    def recipe_digest(self) -> str:
        """The recipe by which this worker compares. Raises InputsError for unusable inputs."""
        return present_recipe(self._settings)

    def run_queued(self) -> None:
        """Run all queued diffs, and those of processes that were killed. Before each of them all
        questions are answered, for which somebody waits.

        What can't be compared or answered has failed with a reason afterwards.
        """
        while (claim := self._claim_after_questions()) is not None:
            # The reason is in the row and was reported; the next diff may fare better.
            try:
                self.run(claim)
            except LatentwatchError:
                pass
            except Exception:
                logger.exception("diff %d ended unexpectedly", claim.diff_id)

    def claim(self, session: Session, diff_id: int | None = None) -> Claim | None:
        """Claim what comes first, or the diff `diff_id`, in the caller's transaction; None when
        it is done or somebody else is at work on it."""
        diff = claim_next(session, self._clock(), this_process(), LEASE_SECONDS, diff_id)
        return None if diff is None else claim_of(session, diff)

    def _claim_after_questions(self) -> Claim | None:
        place = Workplace(
            self._sessions, self._settings, COMPARE_COMMAND, lambda: False, "local", self._clock
        )
        while answer_due(place):
            pass
        with self._sessions.begin() as session:
            return self.claim(session)

    def run(self, claim: Claim) -> None:
        """Run a claimed diff.

        Raises a LatentwatchError when it can't be compared, and whatever nobody expected. After
        either the row has failed with the reason.
        """
        name = claim.name
        try:
            self._report(f"{name} is compared with {claim.base.name}")
            outcome = self._compare(claim)
            with self._sessions.begin() as session:
                finish(
                    session,
                    claim.diff_id,
                    claim.fence,
                    to_json(outcome.verdict),
                    self._clock(),
                    outcome.failure,
                )
        except LeaseLostError as error:
            self._report(f"{name}: {error}")
            raise
        except CancelledError as error:
            with self._sessions.begin() as session:
                cancelled(session, claim.diff_id, claim.fence, self._clock())
            self._report(f"{name}: {error}")
            raise
        except KeyboardInterrupt:
            with suppress(LeaseLostError), self._sessions.begin() as session:
                release(session, claim.diff_id, claim.fence, self._clock())
            raise
        except Exception as error:
            expected = isinstance(error, LatentwatchError)
            reason = str(error) if expected else f"{type(error).__name__}: {error}"
            with self._sessions.begin() as session:
                fail(session, claim.diff_id, claim.fence, reason, self._clock())
            self._report(f"{name} could not be compared: {reason}")
            raise
        self._report(f"{name}: {verdict_word(outcome.verdict)}")

    def _compare(self, claim: Claim) -> Outcome:
        with (
            fetching(self._settings),
            self._progress() as progress,
            Heartbeat(
                self._sessions, renewal_of(claim.diff_id, claim.fence), progress, self._clock
            ) as heartbeat,
        ):
            job = job_of(self._sessions, self._settings, claim)
            for side in (job.base, job.candidate):
                try_templates(side.path)
            calibration = calibration_of(self._sessions, job, self._clock())
            with carried(self._settings, job, heartbeat.raise_if_ended):
                store = LocalStore(self._settings.store_dir)
                outcome = run_diff(job, self._settings, store, heartbeat, calibration=calibration)
            heartbeat.confirm()
            history = line_history(self._sessions, self._settings, outcome.verdict)
            keep_outcome(self._settings, outcome, history)
        return outcome
