"""Which workers there are, as they tell themselves."""

from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.orm import Session

from monitor.database.schema import Lease, WorkerRow
from monitor.jobs.leader import lead

SILENT_AFTER_SECONDS = 60.0
"""Without a sign for this long, a worker counts as gone or stuck."""
FORGOTTEN_AFTER_SECONDS = 86_400.0


def take_name(session: Session, name: str, owner: str, now: float) -> bool:
    """Take or keep the name `name`, until it is not asked for any more; False while another living
    process has it. `owner` is `monitor.owner.this_process()`."""
    return lead(session, _role(name), owner, now, SILENT_AFTER_SECONDS)


def sign_in(
    session: Session,
    name: str,
    queues: Sequence[str],
    gpu: str | None,
    started_at: float,
    now: float,
) -> None:
    """Note that the worker `name` is alive; who was silent for a day is forgotten."""
    session.execute(delete(WorkerRow).where(WorkerRow.seen_at < now - FORGOTTEN_AFTER_SECONDS))
    session.merge(
        WorkerRow(name=name, queues=",".join(queues), gpu=gpu, started_at=started_at, seen_at=now)
    )


def sign_out(session: Session, name: str) -> None:
    """The worker `name` has ended of its own accord."""
    session.execute(delete(WorkerRow).where(WorkerRow.name == name))
    session.execute(delete(Lease).where(Lease.name == _role(name)))


def _role(name: str) -> str:
    return f"worker {name}"
