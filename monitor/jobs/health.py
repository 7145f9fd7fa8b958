"""Whether a process of the service does its work, by the traces that it leaves in the database.

A process that hangs holds its port and its pid; so liveness is asked of what it has written.
"""

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.wording import duration
from monitor.database.schema import Diff, DiffState, Lease, Line, WorkerRow
from monitor.jobs.leader import PAGER, RECONCILER
from monitor.jobs.leases import held
from monitor.jobs.readings import Readings
from monitor.jobs.roster import SILENT_AFTER_SECONDS

Process = Literal["watch", "reconcile", "alerts", "worker"]

LOOK_SECONDS = 600.0
"""A line that was not looked at for longer has no watch."""

TAKING_IN_SECONDS = 3600.0
"""Who fetches and digests one push for longer hangs; until then nobody looks at the line."""

LEADERS = {"reconcile": RECONCILER, "alerts": PAGER}


def what_ails(
    session: Session, process: Process, name: str, lines: Sequence[str], now: float, *, alone: bool
) -> str | None:
    """Why the process counts as dead or hung at the time `now`; None where it does its work.

    `name` tells workers apart, `lines` are those that have to be watched; with `alone` the watch
    has no workers, and compares in between. Of processes of which one leads, all are well while any
    does.
    """
    if process == "watch":
        return None if alone and held(session, now) else _unwatched(session, lines, now)
    if process == "worker":
        worker = session.get(WorkerRow, name)
        if worker is None:
            return f"worker {name} has never signed in, or has ended"
        silent = now - worker.seen_at
        if silent <= SILENT_AFTER_SECONDS or _compares(session, name, now):
            return None
        return f"silent for {duration(silent)}"
    lease = session.get(Lease, LEADERS[process])
    if lease is None:
        return "none has ever led"
    return f"none leads since {duration(now - lease.until)}" if lease.until < now else None


def _compares(session: Session, name: str, now: float) -> bool:
    """Whether a diff of the worker `name` has a lease: who only hangs in waiting for messages is
    not ended in the middle of it."""
    leased = select(Diff.readings).where(
        Diff.state == DiffState.RUNNING, Diff.lease_until > now, Diff.readings.is_not(None)
    )
    told = session.scalars(leased)
    return any(Readings.of_json(one).worker == name for one in told if one is not None)


def _unwatched(session: Session, lines: Sequence[str], now: float) -> str | None:
    found = {line.name: line for line in session.scalars(select(Line))}
    for name in lines:
        line = found.get(name)
        since = None if line is None else line.taking_in_since
        if since is not None and now - since <= TAKING_IN_SECONDS:
            continue
        if line is None or line.looked_at is None:
            return f"line {name} was never looked at"
        if now - line.looked_at > LOOK_SECONDS:
            return f"line {name} was not looked at for {duration(now - line.looked_at)}"
    return None
