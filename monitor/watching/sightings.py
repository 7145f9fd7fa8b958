"""What was seen at the places of a line, in rows: so no process has to remember it."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from monitor.database.schema import Line, Observation
from monitor.lineage.lookup import last_observations
from monitor.sources.source import Fate, Place


def last_observation(session: Session, line: Line, name: str, locator: str) -> Observation | None:
    """What was last seen under this name at this place."""
    return session.scalar(
        select(Observation)
        .filter_by(line_id=line.id, name=name, locator=locator)
        .order_by(Observation.id.desc())
        .limit(1)
    )


def observe(
    session: Session,
    line: Line,
    place: Place,
    now: float,
    *,
    version_id: int | None = None,
    reason: str | None = None,
    pending: bool = False,
    fingerprint: str | None = None,
) -> None:
    """Add that a version, or a push that is none, was seen at `place`."""
    session.add(
        Observation(
            line_id=line.id,
            version_id=version_id,
            name=place.name,
            locator=place.locator,
            reason=reason,
            pending=pending,
            fingerprint=fingerprint,
            seen_at=now,
        )
    )
    session.flush()


def refuse(
    session: Session, line: Line, place: Place, reason: str, now: float, *, pending: bool = False
) -> bool:
    """Record why what lies at `place` is no version; False when that is known already.

    It is `pending` when a later look has to take it in; of that only the newest reason is kept.
    """
    last = last_observation(session, line, *place)
    refused = last is not None and last.version_id is None and last.gone_at is None
    if last is not None and refused and (last.reason, last.pending) == (reason, pending):
        return False
    if last is not None and refused and last.pending and pending:
        last.reason = reason
    else:
        observe(session, line, place, now, reason=reason, pending=pending)
    return True


def put_off(
    session: Session, line: Line, place: Place, reason: str, now: float, *, listed: bool
) -> None:
    """Record that a push could not be taken in now.

    Where a version lies and the push was not even `listed`, nothing says that it is another one,
    and nothing that it is not.
    """
    last = last_observation(session, line, *place)
    if last is not None and last.version_id is not None and last.gone_at is None and not listed:
        last.unread_at = now
    else:
        refuse(session, line, place, f"not taken in yet: {reason}", now, pending=True)


def let_go(session: Session, line: Line, places: Collection[Place], now: float) -> None:
    """Nothing lies at `places` any more, and nobody waits for what was pending there.

    What was seen there after `now`, when the look began, that look says nothing of.
    """
    for place, last in last_observations(session, line).items():
        if place in places and last.seen_at <= now:
            last.pending, last.gone_at = False, now


def fates(session: Session, line_name: str) -> dict[Place, Fate]:
    """What became of all that was seen up to the last look at the line.

    What was admitted by name since then is left out: it says nothing of pushes before it.
    """
    line = session.scalar(select(Line).filter_by(name=line_name))
    if line is None or line.looked_at is None:
        return {}
    last = last_observations(session, line).items()
    return {Place(*place): _fate(row) for place, row in last if row.seen_at <= line.looked_at}


def _fate(row: Observation) -> Fate:
    if row.gone_at is not None:
        return Fate.GONE
    if row.version_id is not None:
        return Fate.VERSION
    return Fate.PENDING if row.pending else Fate.REFUSED
