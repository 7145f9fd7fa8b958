"""Finding the line and the version that a person named, and what was last seen of a line."""

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from monitor.database.schema import Line, Observation, Version
from monitor.errors import RefusedPushError, UnknownLineError, UnknownVersionError

_SHORTEST_PREFIX = 7


def find_line(session: Session, name: str) -> Line:
    """The line called `name`. Raises UnknownLineError that lists the known ones."""
    line = session.scalar(select(Line).filter_by(name=name))
    if line is None:
        known = ", ".join(session.scalars(select(Line.name).order_by(Line.name))) or "none yet"
        raise UnknownLineError(f"there is no line {name!r} in the database (lines: {known})")
    return line


def find_version(session: Session, line: Line, wanted: str) -> Version:
    """The version of `line` that was seen under the name, or has the digest prefix, `wanted`.

    Raises UnknownVersionError, also when several contents were seen under that name;
    RefusedPushError for a push that was refused for good.
    """
    named = select(Observation.version_id).filter_by(line_id=line.id, name=wanted)
    matches: list[ColumnElement[bool]] = [Version.id.in_(named)]
    if len(wanted) >= _SHORTEST_PREFIX:
        matches.append(Version.content_digest.startswith(wanted, autoescape=True))
    found = session.scalars(
        select(Version).where(Version.line_id == line.id, or_(*matches)).order_by(Version.id)
    ).all()
    exact = [version for version in found if version.content_digest == wanted]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if found:
        digests = ", ".join(version.content_digest[:12] for version in found)
        raise UnknownVersionError(
            f"line {line.name}: {wanted!r} was the name of several versions; name one by its "
            f"digest: {digests}"
        )
    last = session.scalar(
        select(Observation)
        .filter_by(line_id=line.id, name=wanted)
        .order_by(Observation.id.desc())
        .limit(1)
    )
    if last is not None and last.pending:
        raise UnknownVersionError(
            f"line {line.name}: {wanted!r} is still to be taken in: {last.reason}"
        )
    if last is not None and last.reason is not None:
        raise RefusedPushError(f"line {line.name}: {wanted!r} was refused: {last.reason}")
    raise UnknownVersionError(
        f"line {line.name}: there is no version {wanted!r}; `latentwatch versions {line.name}` "
        "lists what was seen. A new push is there after the watch's next look (poll_seconds)"
    )


def last_observations(session: Session, line: Line) -> dict[tuple[str, str], Observation]:
    """What was last seen at every place of `line`, by its name there and its locator."""
    newest = last_at_places().where(Observation.line_id == line.id)
    rows = session.scalars(
        select(Observation).where(Observation.id.in_(newest)).order_by(Observation.id)
    )
    return {(row.name, row.locator): row for row in rows}


def last_at_places() -> Select[int]:
    """The ids of what was last seen at every place of every line."""
    return select(func.max(Observation.id)).group_by(
        Observation.line_id, Observation.name, Observation.locator
    )
