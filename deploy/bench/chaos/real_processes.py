"""Schedules one after the other on one cluster of real processes."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random

from sqlalchemy.exc import SQLAlchemyError

from deploy.bench.chaos import invariants, ledger
from deploy.bench.chaos.invariants import Findings
from deploy.bench.chaos.schedule import Fault, Schedule
from deploy.bench.chaos.settable_clock import ClockFile
from deploy.bench.chaos.strikes import strike
from deploy.bench.cluster import Cluster, Layout
from deploy.bench.pushes import Pushes
from workers.keeping.store import LocalStore

LAYOUT = Layout("deploy.bench.chaos.hurried", watchers=2, reconcilers=2, workers=3)
SPAN_SECONDS = 4.0
"""During which versions are pushed and things go wrong."""
PATIENCE_SECONDS = 120.0
"""How long after the last fault everything has to be decided."""


def run_schedule(
    cluster: Cluster, clock: ClockFile, pushes: Pushes, schedule: Schedule
) -> Findings:
    """Push, have things go wrong, wait, and see what became of it all."""
    draw = Random(schedule.seed)
    prefix = f"s{schedule.seed}-"
    began = time.monotonic()

    def brought_about(fault: Fault) -> bool:
        return strike(cluster, clock, fault, draw, partial(pushes.change, draw, prefix))

    with cluster.sessions() as session:  # the cluster is that of all schedules
        refused_before = ledger.stale_refused(session)
    for number in range(schedule.pushes):
        pushes.push(f"{prefix}{number}")
    with ThreadPoolExecutor(len(schedule.faults)) as pool:
        strikes = []
        for at, fault in schedule.faults:
            time.sleep(max(0.0, began + at * SPAN_SECONDS - time.monotonic()))
            strikes.append((fault, pool.submit(brought_about, fault)))
        struck = tuple(fault for fault, future in strikes if future.result())
    gives_up_at = time.monotonic() + PATIENCE_SECONDS
    while not _is_quiet(cluster, pushes) and time.monotonic() < gives_up_at:
        time.sleep(0.1)
    store = LocalStore(cluster.settings.store_dir)
    with cluster.sessions() as session:
        pushed = invariants.contents(session) | pushes.contents()
        found = invariants.look(session, pushed, store, pushes.replaced)
    refused = found.stale_refused - refused_before
    return found._replace(stale_refused=refused, struck=struck)


def _is_quiet(cluster: Cluster, pushes: Pushes) -> bool:
    try:
        with cluster.sessions() as session:
            return not invariants.active(session) and not invariants.unsettled(
                session, pushes.contents()
            )
    except SQLAlchemyError:
        return False
