"""One comparison from start to end: what `latentwatch check` does. Free of torch."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy.orm import Session, sessionmaker

from alerts.verdict import Verdict
from monitor.database.opening import open_database
from monitor.database.schema import Diff, DiffState
from monitor.errors import LatentwatchError
from monitor.on_demand.comparison import prepare, result_of
from monitor.settings import Settings
from workers.dispatch.claim import Claim
from workers.dispatch.local import LocalWorker
from workers.dispatch.workplace import COMPARE_COMMAND
from workers.keeping.kept_outcomes import evidence_of
from workers.processes.supervisor import Ending
from workers.progress import DiffProgress
from workers.verdicts.outcome import Outcome, write_outcome

POLL_SECONDS = 1.0


def check_pair(
    candidate: Path,
    baseline: str,
    line: str | None,
    settings: Settings,
    out: Path | None,
    progress: Callable[[], AbstractContextManager[DiffProgress]],
    report: Callable[[str], None],
    command: Sequence[str] = COMPARE_COMMAND,
) -> Verdict:
    """The verdict on `candidate` against `baseline`, a path or "trusted" of `line`.

    Where the anchor of the line has a say, that is compared too, and it is the worse verdict. A
    comparison that was done before is not repeated. With `out`, verdict, evidence, page and
    message are written there too. After a crash the verdict is undecided, and the same call tries
    again. Raises a LatentwatchError where nothing can be decided. `command` is of the process that
    compares.
    """
    sessions = open_database(settings.database_url)
    worker = LocalWorker(sessions, settings, progress, report, command=command)
    claim: Claim | None = None

    def take(session: Session, diff: Diff) -> None:
        nonlocal claim
        claim = worker.claim(session, diff.id)

    recipe = worker.recipe_digest()
    comparison = prepare(sessions, settings, candidate, baseline, line, recipe, time.time(), take)
    refused = None if claim is None else _run(worker, claim)
    if comparison.anchored is not None and comparison.anchored.diff_id is not None:
        second = _claimed(sessions, worker, comparison.anchored.diff_id, report)
        if second is not None:
            refused = _run(worker, second) or refused
    if refused is not None:  # after both: what is left queued would have nobody to run it
        raise LatentwatchError(refused)
    verdict = result_of(sessions, comparison)
    if out is not None:
        evidence = evidence_of(settings, verdict)
        write_outcome(out, Outcome(verdict, evidence))
    return verdict


def _run(worker: LocalWorker, claim: Claim) -> str | None:
    """Run it; why it can't be compared here, if so."""
    ended = worker.run(claim)
    return (ended.refused or ended.elsewhere) if isinstance(ended, Ending) else None


def _claimed(
    sessions: sessionmaker[Session],
    worker: LocalWorker,
    diff_id: int,
    report: Callable[[str], None],
) -> Claim | None:
    """The claim of a diff that a worker of the service may have begun meanwhile, for whom this
    waits; None once it has ended."""
    told = False
    while True:
        with sessions.begin() as session:
            claim = worker.claim(session, diff_id)
            if claim is not None:
                return claim
            if session.get_one(Diff, diff_id).state != DiffState.RUNNING:
                return None
        if not told:
            report("another process compares with the anchor; this waits for it")
            told = True
        time.sleep(POLL_SECONDS)
