"""One queued diff from its claim to its result, compared in a process of its own."""

import logging
import os
import time
from base64 import b64decode
from contextlib import suppress
from typing import Any

import psutil
from sqlalchemy import select

from alerts.evidence import Evidence
from alerts.verdict import Verdict
from monitor.database.schema import Diff
from monitor.errors import LeaseLostError
from monitor.jobs import diff_claims
from monitor.jobs.diff_endings import PASS_ON_SECONDS
from monitor.jobs.outbox import queue_of
from monitor.jobs.readings import Readings
from monitor.lineage.history import line_history
from monitor.owner import this_process
from monitor.sources.fetching import fetching
from workers.cost.room import refuse_what_cannot_fit
from workers.dispatch.claim import Claim, calibration_of, claim_of, job_of, present_recipe
from workers.dispatch.conclusion import conclude
from workers.dispatch.questions import answer_due
from workers.dispatch.traces import Trace, traced
from workers.dispatch.workplace import (
    Workplace,
    settings_for_processes,
    with_errors,
    work_apart,
    write_result,
)
from workers.errors import InputsError
from workers.job import Job
from workers.keeping.carrier import carried
from workers.keeping.kept_outcomes import earlier_versions, keep_outcome
from workers.processes.attempt import Attempt
from workers.processes.diff_process import Assignment
from workers.processes.heartbeat import LEASE_SECONDS, Heartbeat, renewal_of
from workers.processes.isolation import network_namespace
from workers.processes.supervisor import Ending
from workers.verdicts.outcome import Outcome

logger = logging.getLogger(__name__)

FETCH = "fetch"
"""What a try begins with, before any stage: both checkpoints are brought here and digested."""


def run_due(place: Workplace, diff_id: int) -> None:
    """Run what comes first in the queue of the diff `diff_id`, for which a message came: a
    question, since somebody waits for its answer, else a diff; do nothing when nothing is due.

    However it ends, what became of it is in its row, unless this process dies or another one has
    taken it over.
    """
    with place.sessions() as session:
        probe_only = session.scalar(select(Diff.probe_only).where(Diff.id == diff_id))
    if probe_only is not None and answer_due(place, queue_of(probe_only)):
        return
    try:
        own_recipe = present_recipe(place.settings)
    except InputsError:
        own_recipe = None  # told of the diff that is claimed
    with place.sessions.begin() as session:
        owner = this_process()
        diff = diff_claims.claim_due(
            session, diff_id, place.clock(), owner, LEASE_SECONDS, own_recipe
        )
        claim = None if diff is None else claim_of(session, diff)
    if claim is None:
        logger.info("diff %d is not due: a message came twice or late", diff_id)
        return
    ended = run_claimed(place, claim)
    if isinstance(ended, Ending) and ended.elsewhere is not None:
        _rest(place)


def _rest(place: Workplace) -> None:
    """Leave the messages to others until what was passed on is due, so that one of them gets it."""
    until = time.monotonic() + 2 * PASS_ON_SECONDS
    while time.monotonic() < until and not place.must_stop():
        time.sleep(0.2)


def run_claimed(place: Workplace, claim: Claim) -> Outcome | Ending | None:
    """Compare, and write what came of it under the claim's fence: how it ended, None when another
    process has taken it over. Ctrl-C ends it at once and gives it back."""
    place.report(f"{claim.name} is compared with {claim.base.name}")
    try:
        # Told by the trace only when what came of it is in the row.
        with traced(place.settings.traces, place.worker, claim) as trace:
            ended = with_errors(f"diff {claim.diff_id}", lambda: _compare(place, claim, trace))
            trace.conclude(ended)
            conclusion = conclude(claim, ended)
            write_result(place, conclusion.write)
    except LeaseLostError as error:
        place.report(f"{claim.name}: {error}")
        return None
    except KeyboardInterrupt:
        with suppress(LeaseLostError):
            write_result(place, conclude(claim, Ending(stopped=True)).write)
        raise
    place.report(f"{claim.name}: {conclusion.told}")
    return ended


def _compare(place: Workplace, claim: Claim, trace: Trace) -> Outcome | Ending:
    settings = place.settings
    with (
        fetching(settings),
        place.progress() as progress,
        Heartbeat(
            place.sessions, renewal_of(claim.diff_id, claim.fence), progress, place.clock
        ) as heartbeat,
    ):
        attempt = Attempt(heartbeat, place.must_stop, settings.broker.deadline_seconds)
        job = _fetched(place, claim, heartbeat, attempt, trace)
        job = job._replace(earlier=earlier_versions(place.sessions, settings, job))
        refuse_what_cannot_fit(job, settings)
        may_reach = settings.explainer.base_url is not None  # whom the operator has named
        known = calibration_of(place.sessions, job, place.clock())
        assignment = Assignment(
            parent=os.getpid(),
            shared_network=None if may_reach else network_namespace(),
            job=job,
            settings=settings_for_processes(settings),
            calibration=None if known is None else known.calibration.model_dump(mode="json"),
            calibration_age_days=0.0 if known is None else known.age_days,
        )

        def hear(line: dict[str, Any]) -> None:
            heartbeat.raise_if_ended()
            if line.get("event") == "begin":
                heartbeat.begin(line["stage"])
                trace.begin(line["stage"])
            elif line.get("event") == "end":
                heartbeat.end(line["stage"], line["seconds"], line["reused"])
                trace.end(line["reused"])
            elif line.get("event") == "step":
                heartbeat.step(line["what"], line["done"], line["total"])
            elif line.get("event") == "alive":
                heartbeat.note(Readings(place.worker, **line["taken"]))

        with carried(settings, job, attempt.raise_if_ended):
            attempt.raise_if_ended()
            ending = work_apart(place, place.command, assignment, hear, attempt)
        ended = _outcome(ending)
        if isinstance(ended, Outcome):
            heartbeat.confirm()
            keep_outcome(settings, ended, line_history(place.sessions, settings, ended.verdict))
        return ended


def _fetched(
    place: Workplace, claim: Claim, heartbeat: Heartbeat, attempt: Attempt, trace: Trace
) -> Job:
    began_at = time.monotonic()
    # That this worker lives shows by its lease alone while the broker is away.
    heartbeat.note(Readings(place.worker, psutil.Process().memory_info().rss))
    heartbeat.begin(FETCH)
    trace.begin(FETCH)
    job = job_of(place.sessions, place.settings, claim, attempt.step)
    trace.end(reused=False)
    heartbeat.end(FETCH, time.monotonic() - began_at, reused=False)
    return job


def _outcome(ending: Ending) -> Outcome | Ending:
    if ending.outcome is None:
        return ending
    features = ending.outcome["features"]
    return Outcome(
        Verdict.model_validate(ending.outcome["verdict"]),
        Evidence.model_validate(ending.outcome["evidence"]),
        ending.outcome["failure"],
        None if features is None else b64decode(features, validate=True),
    )
