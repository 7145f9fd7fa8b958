"""Runs the queued diffs of the database in this process, one after the other."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from alerts.calibration import AgedCalibration
from alerts.verdict import to_json
from alerts.wording import verdict_word
from monitor.calibrations import latest
from monitor.errors import LatentwatchError, LeaseLostError
from monitor.intake import locate
from monitor.jobs import claim_next, fail, finish, release
from monitor.owner import this_process
from monitor.schema import Line, Version
from monitor.settings import COMPARISONS, Settings
from workers.corpora import read_corpora
from workers.diff import run_diff
from workers.errors import OtherRecipeError
from workers.heartbeat import LEASE_SECONDS, Heartbeat
from workers.inputs import load_inputs
from workers.job import Job, Side
from workers.outcome import Outcome, report_directory, write_outcome
from workers.progress import DiffProgress
from workers.recipe import recipe_digest
from workers.store import LocalStore

logger = logging.getLogger(__name__)


class _Claim(NamedTuple):
    diff_id: int
    fence: int
    recipe_digest: str
    line: str
    base: Version
    candidate: Version


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
        inputs = load_inputs(self._settings.recipe)
        read_corpora(inputs)
        return recipe_digest(inputs.recipe)

    def run_queued(self) -> None:
        """Run all queued diffs, and those of processes that were killed.

        What can't be compared has failed with a reason afterwards.
        """
        while (claim := self._claim()) is not None:
            # The reason is in the row and was reported; the next diff may fare better.
            try:
                self._run(claim)
            except LatentwatchError:
                pass
            except Exception:
                logger.exception("diff %d ended unexpectedly", claim.diff_id)

    def run(self, diff_id: int) -> None:
        """Run the diff `diff_id` if nobody else is at work on it and it isn't done.

        Raises a LatentwatchError when it can't be compared, and whatever nobody expected. After
        either the row has failed with the reason.
        """
        claim = self._claim(diff_id)
        if claim is not None:
            self._run(claim)

    def _claim(self, diff_id: int | None = None) -> _Claim | None:
        with self._sessions.begin() as session:
            diff = claim_next(session, self._clock(), this_process(), LEASE_SECONDS, diff_id)
            if diff is None:
                return None

            def version(digest: str) -> Version:
                return session.scalars(
                    select(Version).filter_by(line_id=diff.line_id, content_digest=digest)
                ).one()

            return _Claim(
                diff_id=diff.id,
                fence=diff.fence,
                recipe_digest=diff.recipe_digest,
                line=session.get_one(Line, diff.line_id).name,
                base=version(diff.base_digest),
                candidate=version(diff.candidate_digest),
            )

    def _run(self, claim: _Claim) -> None:
        name = f"{claim.line}: {claim.candidate.name}"
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

    def _compare(self, claim: _Claim) -> Outcome:
        if claim.recipe_digest != self.recipe_digest():
            raise OtherRecipeError(
                "queued under another recipe; the same command, run again, queues it under the "
                "present one"
            )
        line = None if claim.line == COMPARISONS else claim.line
        with (
            self._progress() as progress,
            Heartbeat(
                self._sessions, claim.diff_id, claim.fence, progress, self._clock
            ) as heartbeat,
        ):
            job = Job(line, self._side(claim.base), self._side(claim.candidate))
            store = LocalStore(self._settings.store_dir)
            calibration = self._calibration(job)
            outcome = run_diff(job, self._settings, store, heartbeat, calibration=calibration)
        write_outcome(report_directory(self._settings.data_dir, outcome.verdict), outcome)
        return outcome

    def _calibration(self, job: Job) -> AgedCalibration | None:
        if job.line is None:
            return None
        with self._sessions() as session:
            return latest(session, job.line, job.base.content_digest, self._clock())

    def _side(self, version: Version) -> Side:
        path = locate(self._sessions, version)
        return Side(version.content_digest, version.weights_digest, path, str(path))
