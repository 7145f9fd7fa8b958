"""One queued diff from its claim to its result, compared in a process of its own."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from alerts.evidence import Evidence
from alerts.verdict import Verdict
from monitor import jobs
from monitor.database import in_words
from monitor.errors import CancelledError, LatentwatchError, LeaseLostError, SourceError
from monitor.fetching import fetching
from monitor.history import line_history
from monitor.owner import this_process
from monitor.readings import Readings
from monitor.settings import Settings
from workers.carrier import carried
from workers.claim import Claim, calibration_of, claim_of, job_of
from workers.conclusion import conclude
from workers.diff_process import Assignment
from workers.heartbeat import LEASE_SECONDS, Heartbeat
from workers.isolation import environment_of_diffs, network_namespace, without_network
from workers.kept_outcomes import keep_outcome
from workers.outcome import Outcome
from workers.supervisor import Ending, Limits, supervise
from workers.traces import Trace, traced

logger = logging.getLogger(__name__)

NEEDED = {"data_dir", "store_dir", "cache_bytes", "recipe", "explainer", "limits"}
"""The settings that the comparing process gets: no other is its business."""
WRITE_SECONDS = 60.0
"""How long a result is kept for a database that is away."""


class Workplace(NamedTuple):
    """What a worker process works with."""

    sessions: sessionmaker[Session]
    settings: Settings
    command: Sequence[str]
    """Of the process that compares; `workers.diff_process`."""
    must_stop: Callable[[], bool]
    worker: str
    """Its name, which tells the workers of a host apart."""
    clock: Callable[[], float] = time.time


def run_due(place: Workplace, diff_id: int) -> None:
    """Run the diff `diff_id` if it is queued and due; do nothing if not.

    However it ends, what became of it is in its row, unless this process dies or another one has
    taken it over.
    """
    with place.sessions.begin() as session:
        diff = jobs.claim_due(session, diff_id, place.clock(), this_process(), LEASE_SECONDS)
        claim = None if diff is None else claim_of(session, diff)
    if claim is None:
        logger.info("diff %d is not due: a message came twice or late", diff_id)
        return
    logger.info("%s is compared with %s", claim.name, claim.base.name)
    try:
        told = _run(place, claim)
    except LeaseLostError as error:
        told = str(error)
    logger.info("%s: %s", claim.name, told)


def _run(place: Workplace, claim: Claim) -> str:
    """Compare, and write what came of it under the claim's fence; what that was, in words."""
    with traced(place.settings.traces, place.worker, claim) as trace:
        conclusion = conclude(claim, _ended(place, claim, trace))
        _write(place, conclusion.write)
    return conclusion.told


def _ended(place: Workplace, claim: Claim, trace: Trace) -> Outcome | Ending:
    try:
        ended = _compare(place, claim, trace)
    except LeaseLostError:
        raise
    except CancelledError as error:
        ended = Ending(cancelled=str(error))
    except SourceError as error:  # the place is away for now
        ended = Ending(crashed=str(error))
    except LatentwatchError as error:
        ended = Ending(refused=str(error))
    except Exception as error:
        logger.exception("diff %d ended unexpectedly", claim.diff_id)
        ended = Ending(crashed=f"{type(error).__name__}: {error}")
    trace.conclude(ended)
    return ended


def _compare(place: Workplace, claim: Claim, trace: Trace) -> Outcome | Ending:
    settings = place.settings
    with (
        fetching(settings),
        Heartbeat(place.sessions, claim.diff_id, claim.fence, _Unshown(), place.clock) as heartbeat,
    ):
        job = job_of(place.sessions, settings, claim)
        may_reach = settings.explainer.base_url is not None  # whom the operator has named
        known = calibration_of(place.sessions, job, place.clock())
        assignment = Assignment(
            parent=os.getpid(),
            shared_network=None if may_reach else network_namespace(),
            job=job,
            settings=settings.model_dump(
                mode="json", include=NEEDED, exclude={"explainer": {"api_key"}}
            ),
            calibration=None if known is None else known.calibration.model_dump(mode="json"),
            calibration_age_days=0.0 if known is None else known.age_days,
        )

        def hear(line: dict[str, Any]) -> None:
            heartbeat.raise_if_ended()
            if line.get("event") == "begin":
                heartbeat.begin(line["stage"])
                trace.begin(line["stage"])
            elif line.get("event") == "end":
                trace.end(line["reused"])
            elif line.get("event") == "step":
                heartbeat.step(line["what"], line["done"], line["total"])
            elif line.get("event") == "alive":
                heartbeat.note(Readings(place.worker, **line["taken"]))

        broker = settings.broker
        isolation = () if may_reach else without_network()
        with carried(settings, job, heartbeat.raise_if_ended):
            if place.must_stop():
                return Ending(stopped=True)
            ending = supervise(
                [*isolation, *place.command],
                environment_of_diffs(os.environ),
                assignment.model_dump_json(),
                hear,
                place.must_stop,
                Limits(broker.deadline_seconds, broker.silence_seconds, broker.grace_seconds),
            )
        ended = _outcome(ending)
        if isinstance(ended, Outcome):
            heartbeat.confirm()
            keep_outcome(settings, ended, line_history(place.sessions, settings, ended.verdict))
        return ended


def _outcome(ending: Ending) -> Outcome | Ending:
    if ending.outcome is None:
        return ending
    return Outcome(
        Verdict.model_validate(ending.outcome["verdict"]),
        Evidence.model_validate(ending.outcome["evidence"]),
        ending.outcome["failure"],
    )


def _write(place: Workplace, write: Callable[[Session, float], None]) -> None:
    """Write a result; the work behind it is worth waiting for a database that is away."""
    patience = time.monotonic() + WRITE_SECONDS
    while True:
        try:
            with place.sessions.begin() as session:
                write(session, place.clock())
            return
        except SQLAlchemyError as error:
            if time.monotonic() > patience:
                raise
            logger.warning("the result can't be written yet: %s", in_words(error))
            time.sleep(1.0)


class _Unshown:
    """Nobody watches the terminal of a worker; the row has it all."""

    def begin(self, stage: str) -> None:
        pass

    def step(self, what: str, done: int, total: int) -> None:
        pass

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        pass
