"""One comparison by the workers of a running service: `latentwatch check --wait`. Free of torch."""

import time
from collections.abc import Callable
from pathlib import Path

from alerts.verdict import Verdict
from alerts.wording import duration
from monitor.database.opening import open_database
from monitor.database.schema import Diff, DiffState
from monitor.errors import BrokerError
from monitor.on_demand.comparison import prepare, result_of
from monitor.settings import Settings
from workers.dispatch.remote import RemoteWorker
from workers.keeping.kept_outcomes import evidence_of
from workers.verdicts.outcome import Outcome, write_outcome

POLL_SECONDS = 1.0


def submit_pair(
    candidate: Path,
    baseline: str,
    line: str | None,
    settings: Settings,
    out: Path | None,
    wait_seconds: float,
    report: Callable[[str], None],
) -> Verdict:
    """As `workers.check.check_pair`, but the service compares, and this follows it for so long.

    Workers must find both checkpoints at the same paths. A comparison that has not ended by then
    goes on, and the verdict is undecided; so it does while Redis is away, which is told. Raises
    CancelledError when it was cancelled or skipped, and BrokerError where no broker is set.
    """
    sessions = open_database(settings.database_url)
    workers = RemoteWorker(sessions, settings, wait=False)
    begun = time.time()
    comparison = prepare(
        sessions, settings, candidate, baseline, line, workers.recipe_digest(), begun
    )
    told = away = None
    left = comparison.parts()
    while left:
        try:
            workers.run_queued()
            away = None
        except BrokerError as error:  # it is queued all the same, and this tries again
            if away is None:
                report(
                    f"{candidate.name}: {error}; it is queued, and workers are woken once "
                    "Redis is back"
                )
            away = error
        with sessions() as session:
            diff = session.get_one(Diff, left[0].diff_id)
        where = diff.state if diff.stage is None else f"{diff.state}: {diff.stage}"
        if left[0] is comparison.anchored:
            where = f"with the anchor: {where}"
        if where != told:
            report(f"{candidate.name}: {where}")
            told = where
        if diff.state not in (DiffState.QUEUED, DiffState.RUNNING):
            del left[0]
            continue
        if time.time() - begun > wait_seconds:
            report(f"{candidate.name}: not decided within {duration(wait_seconds)}; it goes on")
            break
        time.sleep(POLL_SECONDS)
    verdict = result_of(sessions, comparison)
    if out is not None:
        write_outcome(out, Outcome(verdict, evidence_of(settings, verdict)))
    return verdict
