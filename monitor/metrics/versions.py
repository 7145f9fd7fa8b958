"""Readings of lines and versions."""

from collections.abc import Iterator, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from monitor.line_settings import LineSettings
from monitor.metrics.reading import Reading
from monitor.overview import line_rows, refused_pushes
from monitor.schema import UNCHECKED, Audit, Line, Observation, Trust, Version

NEWEST = 5
"""Versions of a line that are named."""

REFUSED = "refused"
"""State of a push that never became a version."""


def read_versions(
    session: Session, watched: Sequence[LineSettings], now: float
) -> Iterator[Reading]:
    """How many versions are in which state, and how long the oldest has waited.

    Only lines of the settings are watched: of one that has been taken out, or that `check` made,
    nobody looks at the place.
    """
    lines = session.scalars(select(Line).order_by(Line.name)).all()
    known = {line.name: line for line in lines}
    for name in sorted(one.name for one in watched):
        seen = known.get(name)
        looked_at = 0.0 if seen is None else seen.looked_at or 0.0
        problem = seen is not None and seen.look_problem is not None
        yield Reading("watcher_last_success_timestamp_seconds", (name,), looked_at)
        yield Reading("watcher_problem", (name,), problem)
    for line in lines:
        observed = session.scalar(
            select(func.count()).select_from(Observation).filter_by(line_id=line.id)
        )
        yield Reading("versions_observed", (line.name,), observed or 0)
        counts = dict(
            session.execute(
                select(Version.state, func.count())
                .filter_by(line_id=line.id)
                .group_by(Version.state)
            ).all()
        )
        for state in Trust:  # zeros too, so that a rule sees a state be left
            yield Reading("version_state", (line.name, state), counts.get(state, 0))
        skipped = (
            select(func.count())
            .select_from(Audit)
            .join(Version, Version.id == Audit.version_id)
            .where(Version.line_id == line.id, Audit.to_state == Trust.SUPERSEDED)
        )
        yield Reading("versions_skipped", (line.name,), session.scalar(skipped) or 0)
        pushes = refused_pushes(session, line)
        yield Reading("version_refused", (line.name,), len(pushes))
        oldest = dict(
            session.execute(
                select(Version.state, func.min(Version.registered_at))
                .where(Version.line_id == line.id, Version.state.in_(UNCHECKED))
                .group_by(Version.state)
            ).all()
        )
        if pushes:
            oldest[REFUSED] = min(push.seen_at for push in pushes)
        for where in (*UNCHECKED, REFUSED):
            age = max(0.0, now - oldest.get(where, now))
            yield Reading("version_oldest_unchecked_seconds", (line.name, where), age)
        yield from _newest(session, line)
    for row in line_rows(session):
        if row.calibrated_at is not None:
            yield Reading("line_calibration_age_seconds", (row.name,), now - row.calibrated_at)


def _newest(session: Session, line: Line) -> Iterator[Reading]:
    newest = select(Version).filter_by(line_id=line.id).order_by(Version.id.desc()).limit(NEWEST)
    for version in session.scalars(newest):
        which = (line.name, version.name, version.content_digest[:12])
        yield Reading("version_info", (*which, version.state), 1)
        yield Reading("version_seen_timestamp_seconds", which, version.registered_at)
        yield Reading("version_state_timestamp_seconds", (*which, version.state), version.state_at)
