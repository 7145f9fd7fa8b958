"""A worker that compares nothing: the verdict follows from the name of the candidate."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from alerts.verdict import Verdict, to_json
from monitor.database.schema import Diff, Version
from monitor.errors import LatentwatchError
from monitor.jobs import diff_claims, diff_endings
from monitor.owner import this_process
from monitor.settings import Settings
from tests.alerts import samples

RECIPE = "recipe"


class StandInWorker:
    """Candidates called bad-* are flagged, odd-* undecided, broken-* fail, all others pass.

    In bad-cut-* and odd-cut-* a stage failed.
    """

    def __init__(
        self,
        sessions: sessionmaker[Session],
        settings: Settings,
        progress: Any = None,
        report: Callable[[str], None] = print,
        command: Any = None,
    ) -> None:
        self.sessions = sessions
        self.repaired = False
        """What failed before does so no more."""
        self.recipe = RECIPE
        self.ran: list[str] = []
        self.clock: Callable[[], float] = time.time

    def recipe_digest(self) -> str:
        return self.recipe

    def claim(self, session: Session, diff_id: int | None = None) -> Diff | None:
        return diff_claims.claim_next(session, self.clock(), this_process(), 60.0, diff_id)

    def run_queued(self) -> None:
        while self.run_next():
            pass

    def run_next(self) -> bool:
        diff = self._claim_next()
        if diff is not None:
            self.run(diff)
        return diff is not None

    def _claim_next(self) -> Diff | None:
        with self.sessions.begin() as session:
            return self.claim(session)

    def run(self, diff: Diff) -> None:
        with self.sessions.begin() as session:
            name = session.scalars(
                select(Version.name).filter_by(content_digest=diff.candidate_digest)
            ).first()
            assert name is not None
            if diff.recipe_digest != self.recipe:
                diff_endings.pass_on(session, diff.id, diff.fence, "another recipe", self.clock())
                return
            self.ran.append(name)
            if name.startswith("broken") and not self.repaired:
                diff_endings.fail(session, diff.id, diff.fence, "no space left", self.clock())
                return
            text = to_json(_verdict(name, diff))
            error = "a stage failed" if "-cut-" in name and not self.repaired else None
            diff_endings.finish(session, diff.id, diff.fence, text, self.clock(), error)


class BrokenWorker(StandInWorker):
    """Can't run anything."""

    def run_queued(self) -> None:
        raise LatentwatchError("the store is full")


def _verdict(name: str, diff: Diff) -> Verdict:
    sample = samples.passed()
    if name.startswith("bad"):
        sample = samples.flagged()
    elif name.startswith("odd"):
        sample = samples.undecided()
    return sample.model_copy(
        update={
            "base": sample.base.model_copy(update={"digest": diff.base_digest}),
            "candidate": sample.candidate.model_copy(update={"digest": diff.candidate_digest}),
        }
    )
