"""A role that only one process has at a time, as a lease in the database."""

from sqlalchemy.orm import Session

from monitor.database.schema import Lease
from monitor.jobs.clocks import note_clock
from monitor.moments import has_come
from monitor.owner import host_of, is_dead

RECONCILER, PAGER = "reconciler", "pager"


def lead(session: Session, role: str, owner: str, now: float, seconds: float) -> bool:
    """Take or keep the role for `seconds`; False while another living process has it.

    `now` is what the clock says when the transaction begins: leases are kept by it, so it is
    compared with that of the database.
    """
    note_clock(session, host_of(owner), now)
    lease = session.get(Lease, role)
    if lease is None:
        session.add(Lease(name=role, owner=owner, until=now + seconds))
        return True
    is_free = has_come(lease.until, now, seconds) or is_dead(lease.owner)
    if lease.owner != owner and not is_free:
        return False
    lease.owner, lease.until = owner, now + seconds
    return True
