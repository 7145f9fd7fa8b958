"""Readings of lines and versions: each statement is for all lines, since there may be thousands."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from monitor.database.schema import (
    UNCHECKED,
    Audit,
    Line,
    Observation,
    StoredCalibration,
    Trust,
    Version,
)
from monitor.lineage.lookup import last_at_places
from monitor.lineage.trust import precedence
from monitor.metrics.reading import Reading
from monitor.settings.lines import LineSettings

NEWEST = 5
"""Versions of a line that are named."""

REFUSED = "refused"
"""State of a push that never became a version."""


def read_versions(
    session: Session, watched: Sequence[LineSettings], now: float
) -> Iterator[Reading]:
    """How many versions are in which state, and how long the oldest has waited.

    Only lines of the settings are watched: of one that has been taken out, or that `check` made,
    nobody looks at the place, and nobody is waited for.
    """
    lines = {line.name: line for line in session.scalars(select(Line).order_by(Line.name))}
    names = sorted(one.name for one in watched)
    for name in names:
        seen = lines.get(name)
        looked_at = 0.0 if seen is None else seen.looked_at or 0.0
        since = None if seen is None else seen.taking_in_since
        problem = seen is not None and seen.look_problem is not None
        yield Reading("watcher_last_success_timestamp_seconds", (name,), looked_at)
        yield Reading("watcher_taking_in_seconds", (name,), 0.0 if since is None else now - since)
        yield Reading("watcher_problem", (name,), problem)
    observed, skipped = _numbers(session, _observed()), _numbers(session, _skipped())
    states = _states(session)
    for name in lines:  # zeros too, so that a rule sees a state be left
        yield Reading("versions_observed", (name,), observed.get(name, 0))
        yield Reading("versions_skipped", (name,), skipped.get(name, 0))
        for state in Trust:
            yield Reading("version_state", (name, state), states.get((name, state), (0, now))[0])
    for name in (name for name in names if name in lines):
        yield Reading("version_refused", (name,), states.get((name, REFUSED), (0, now))[0])
        for where in (*UNCHECKED, REFUSED):
            _, since = states.get((name, where), (0, now))
            yield Reading("version_oldest_unchecked_seconds", (name, where), max(0.0, now - since))
    for row in session.execute(_newest()):
        which = (row.line, row.name, row.content_digest[:12])
        yield Reading("version_info", (*which, row.state), 1)
        yield Reading("version_seen_timestamp_seconds", which, row.registered_at)
        yield Reading("version_state_timestamp_seconds", (*which, row.state), row.state_at)
    for name, calibrated_at in session.execute(_calibrated().where(Line.name.in_(names))):
        yield Reading("line_calibration_age_seconds", (name,), now - calibrated_at)


def _numbers(session: Session, by_line: Select[str, int]) -> dict[str, int]:
    return {name: number for name, number in session.execute(by_line.group_by(Line.name))}


def _observed() -> Select[str, int]:
    return select(Line.name, func.count()).join(Observation, Observation.line_id == Line.id)


def _skipped() -> Select[str, int]:
    return (
        select(Line.name, func.count())
        .join(Version, Version.line_id == Line.id)
        .join(Audit, Audit.version_id == Version.id)
        .where(Audit.to_state == Trust.SUPERSEDED)
    )


def _states(session: Session) -> dict[tuple[str, str], tuple[int, float]]:
    """By line and state, how many are in it, and when the first of them was seen."""
    versions = (
        select(Line.name, Version.state, func.count(), func.min(Version.registered_at))
        .join(Version, Version.line_id == Line.id)
        .group_by(Line.name, Version.state)
    )
    refused = (
        select(Line.name, func.count(), func.min(Observation.seen_at))
        .join(Observation, Observation.line_id == Line.id)
        .where(
            Observation.id.in_(last_at_places()),
            Observation.version_id.is_(None),
            Observation.gone_at.is_(None),
        )
        .group_by(Line.name)
    )
    found = {(line, state): (number, at) for line, state, number, at in session.execute(versions)}
    return found | {(line, REFUSED): (number, at) for line, number, at in session.execute(refused)}


def _newest() -> Select[str, str, str, str, float, float]:
    place = func.row_number().over(partition_by=Version.line_id, order_by=Version.id.desc())
    placed = select(Version.id, place.label("place")).subquery()
    return (
        select(
            Line.name.label("line"),
            Version.name,
            Version.content_digest,
            Version.state,
            Version.registered_at,
            Version.state_at,
        )
        .join(Version, Version.line_id == Line.id)
        .join(placed, placed.c.id == Version.id)
        .where(placed.c.place <= NEWEST)
        .order_by(Line.name, Version.id.desc())
    )


def _calibrated() -> Select[str, float]:
    """When a line was last calibrated with the version that is compared with now."""
    order = precedence(Line.endorsed_digest)
    place = func.row_number().over(partition_by=Version.line_id, order_by=order)
    trusted = (
        select(Version.line_id, Version.content_digest, place.label("place"))
        .join(Line, Line.id == Version.line_id)
        .where(Version.state == Trust.TRUSTED)
        .subquery()
    )
    return (
        select(Line.name, func.max(StoredCalibration.created_at))
        .join(StoredCalibration, StoredCalibration.line_id == Line.id)
        .join(
            trusted,
            (trusted.c.line_id == Line.id)
            & (trusted.c.content_digest == StoredCalibration.base_digest),
        )
        .where(trusted.c.place == 1)
        .group_by(Line.name)
    )
