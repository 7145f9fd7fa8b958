"""How far the clocks of the hosts are from that of the database.

Leases are kept by the clock of each host. One that is wrong by more than a lease makes others take
over what is still worked on: no verdict is doubled by that, but work is.
"""

import logging
from collections.abc import Sequence

from sqlalchemy import delete, extract, func, select
from sqlalchemy.orm import Session

from monitor.database.schema import HostClock

logger = logging.getLogger(__name__)

WRONG_SECONDS = 10.0
"""A clock that is off by more is told."""
SILENT_SECONDS = 3600.0
"""A host that has not been heard of for longer may be gone, and its clock with it."""
FORGOTTEN_SECONDS = 86_400.0


def note_clock(session: Session, host: str, now: float) -> None:
    """Compare `now`, which the clock of `host` said when this transaction began or since.

    SQLite serves one host, whose clock there is nothing to compare with.
    """
    ahead = _ahead(session, now)
    if ahead is None:
        return
    before, measured_at = session.get(HostClock, host), now - ahead
    if _is_wrong(ahead) and not (before is not None and _is_wrong(before.ahead)):
        logger.warning("%s", in_words(host, ahead))
    session.execute(
        delete(HostClock).where(HostClock.measured_at < measured_at - FORGOTTEN_SECONDS)
    )
    session.merge(HostClock(host=host, ahead=ahead, measured_at=measured_at))


def clocks(session: Session) -> Sequence[HostClock]:
    """The clocks of the hosts that are at work, by name."""
    known = select(HostClock).order_by(HostClock.host)
    if session.get_bind().dialect.name == "postgresql":
        now = extract("epoch", func.clock_timestamp())  # not that of the host that asks
        known = known.where(HostClock.measured_at >= now - SILENT_SECONDS)
    return session.scalars(known).all()


def wrong_clocks(session: Session) -> dict[str, float]:
    """The hosts whose clocks are wrong, and by how many seconds they are ahead of the database."""
    return {row.host: row.ahead for row in clocks(session) if _is_wrong(row.ahead)}


def in_words(host: str, ahead: float) -> str:
    """What is wrong with a clock, and the remedy."""
    way = "ahead of" if ahead > 0 else "behind"
    return (
        f"the clock of {host} is {abs(ahead):.0f} s {way} that of the database; set it, by NTP for "
        "example: leases are kept by it"
    )


def _ahead(session: Session, now: float) -> float | None:
    """At least so many seconds; 0 where the time that the transaction has waited hides it."""
    if session.get_bind().dialect.name != "postgresql":
        return None
    began, current = session.execute(
        select(
            extract("epoch", func.transaction_timestamp()), extract("epoch", func.clock_timestamp())
        )
    ).one()
    return now - min(max(now, float(began)), float(current))


def _is_wrong(ahead: float) -> bool:
    return abs(ahead) > WRONG_SECONDS
