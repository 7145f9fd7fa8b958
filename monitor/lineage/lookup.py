"""Finding the line and the version that a person named, and what was last seen of a line."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from monitor.database.schema import Line, Observation, Version
from monitor.errors import RefusedPushError, UnknownLineError, UnknownVersionError
from monitor.sources.source import never_changes

_SHORTEST_PREFIX = 7


def find_line(session: Session, name: str) -> Line:
    """The line called `name`. Raises UnknownLineError that lists the known ones."""
    line = session.scalar(select(Line).filter_by(name=name))
    if line is None:
        known = ", ".join(session.scalars(select(Line.name).order_by(Line.name))) or "none yet"
        raise UnknownLineError(
            f"there is no line {name!r} in the database (lines: {known}); one of the settings is "
            "there from the first look of `latentwatch watch` on"
        )
    return line


def find_version(session: Session, line: Line, wanted: str) -> Version:
    """The version of `line` that was seen under the name, or has the digest prefix, `wanted`.

    Raises UnknownVersionError, also when several contents were seen under that name;
    RefusedPushError for a push that was refused for good.
    """
    found = _matching(session, line, wanted)
    exact = [version for version in found if version.content_digest == wanted]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if found:
        raise _ambiguous(line, wanted, found)
    last = _lying_there(session, line, wanted)
    if last is not None:
        raise _no_version(line, last, [])
    raise UnknownVersionError(
        f"line {line.name}: there is no version {wanted!r}; `latentwatch versions {line.name}` "
        "lists what was seen. A new push is there after the watch's next look (poll_seconds)"
    )


def find_current(session: Session, line: Line, wanted: str, since: float | None = None) -> Version:
    """As `find_version`, but a name stands for what lies there now, or did last, whatever lay there
    before: for who asks about a push. With `since` (seconds since the epoch), for what was found
    there by a look that began then or later.

    Raises RefusedPushError also for what was refused where a version was, and UnknownVersionError
    for what is still to be taken in, or looked at.
    """
    last, found = _lying_there(session, line, wanted), _matching(session, line, wanted)
    by_digest = [one for one in found if one.content_digest.startswith(wanted)]
    if last is None or any(one.content_digest == wanted for one in found):
        return find_version(session, line, wanted)
    if len(wanted) >= _SHORTEST_PREFIX and any(one.id != last.version_id for one in by_digest):
        raise _ambiguous(line, wanted, found)
    if since is not None and not (len(wanted) >= _SHORTEST_PREFIX and by_digest):
        _refuse_older(line, last, since)
    if last.version_id is None:
        raise _no_version(line, last, found)
    return session.get_one(Version, last.version_id)


def _matching(session: Session, line: Line, wanted: str) -> Sequence[Version]:
    named = select(Observation.version_id).filter_by(line_id=line.id, name=wanted)
    matches: list[ColumnElement[bool]] = [Version.id.in_(named)]
    if len(wanted) >= _SHORTEST_PREFIX:
        matches.append(Version.content_digest.startswith(wanted, autoescape=True))
    return session.scalars(
        select(Version).where(Version.line_id == line.id, or_(*matches)).order_by(Version.id)
    ).all()


def _lying_there(session: Session, line: Line, name: str) -> Observation | None:
    """What was last seen under this name; of several places one where it still lies."""
    at_places = last_at_places().where(Observation.line_id == line.id, Observation.name == name)
    return session.scalar(
        select(Observation)
        .where(Observation.id.in_(at_places))
        .order_by(Observation.gone_at.is_not(None), Observation.id.desc())
        .limit(1)
    )


def _refuse_older(line: Line, last: Observation, since: float) -> None:
    if not line.looked_at or line.looked_at < since:
        raise UnknownVersionError(
            f"line {line.name}: {last.name!r} was not looked at since then; it is at the watch's "
            "next look (poll_seconds, or after the comparison that a watch without workers is at)"
        )
    if last.unread_at is not None:
        raise UnknownVersionError(
            f"line {line.name}: {last.name!r} could not be listed when it was last looked at; the "
            "next look tries again"
        )
    if last.gone_at is not None and last.seen_at < since and not never_changes(last.locator):
        raise UnknownVersionError(
            f"line {line.name}: {last.name!r} lies there no more; publish it again, or name a "
            "version by its digest"
        )


def _ambiguous(line: Line, wanted: str, found: Sequence[Version]) -> UnknownVersionError:
    return UnknownVersionError(
        f"line {line.name}: {wanted!r} was the name of several versions; name one by its "
        f"digest: {_digests(found)}"
    )


def _no_version(line: Line, last: Observation, before: Sequence[Version]) -> UnknownVersionError:
    """Why what was `last` seen is no version; `before` it there were these."""
    hint = f"; what lay there before is named by its digest: {_digests(before)}" if before else ""
    if last.pending:
        return UnknownVersionError(
            f"line {line.name}: {last.name!r} is still to be taken in: {last.reason}{hint}"
        )
    return RefusedPushError(f"line {line.name}: {last.name!r} was refused: {last.reason}{hint}")


def _digests(versions: Sequence[Version]) -> str:
    return ", ".join(version.content_digest[:12] for version in versions)


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
