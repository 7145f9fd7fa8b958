"""From a push to rows: identified outside any transaction, then registered or refused in one.

The same content under another name is an alias: one more observation, no second version.
"""

from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from monitor.checkpoint import Checkpoint, inspect_checkpoint
from monitor.digest_cache import DatabaseDigestCache
from monitor.directory import list_directory
from monitor.errors import CheckpointChangedError, CheckpointRefusedError
from monitor.identity import Identity, identify
from monitor.lineage import LATENTWATCH, move
from monitor.schema import Line, Observation, Trust, Version
from monitor.source import Listing


class Push(NamedTuple):
    """A complete checkpoint with its identity, not yet registered anywhere."""

    name: str
    locator: str
    checkpoint: Checkpoint
    identity: Identity


def identify_push(
    sessions: sessionmaker[Session],
    path: Path,
    name: str,
    locator: str,
    listing: Listing | None = None,
) -> Push:
    """Read the checkpoint at `path`. Raises CheckpointRefusedError; registers nothing."""
    checkpoint = inspect_checkpoint(path, listing)
    return Push(name, locator, checkpoint, identify(checkpoint, DatabaseDigestCache(sessions)))


def ensure_line(session: Session, name: str, now: float) -> Line:
    """The line called `name`, made if it is new."""
    line = session.scalar(select(Line).filter_by(name=name))
    if line is None:
        line = Line(name=name, created_at=now)
        session.add(line)
        session.flush()
    return line


class Registered(NamedTuple):
    """The version of a push."""

    version: Version
    news: bool
    """It was not the version that was last seen at its place."""


def note_look(session: Session, name: str, problem: str | None, now: float) -> None:
    """That the watcher looked at the line `name`, or what kept it from that."""
    line = ensure_line(session, name, now)
    line.look_problem = problem
    if problem is None:
        line.looked_at = now


def register(session: Session, line: Line, push: Push, now: float) -> Registered:
    """The version with the content of `push`, made if it is new, and an observation of it.

    When its place held another version that was never checked, that one is superseded: its files
    are gone. Should they come back, it is new again.
    """
    version = session.scalar(
        select(Version).filter_by(line_id=line.id, content_digest=push.identity.content)
    )
    if version is None:
        version = Version(
            line_id=line.id,
            name=push.name,
            locator=push.locator,
            content_digest=push.identity.content,
            weights_digest=push.identity.weights,
            tokenizer_digest=push.identity.tokenizer,
            shape=push.checkpoint.shape,
            published_at=push.checkpoint.listing.newest(),
            registered_at=now,
            state=Trust.NEW,
            state_at=now,
        )
        session.add(version)
        session.flush()
    last = last_observation(session, line, push.name, push.locator)
    if last is not None and last.version_id == version.id:
        return Registered(version, news=False)
    if last is not None and last.version_id is not None:
        _supersede(session, session.get_one(Version, last.version_id), push.name, now)
    if version.state == Trust.SUPERSEDED:
        move(session, version, Trust.NEW, actor=LATENTWATCH, reason="seen again", now=now)
    _observe(session, line, push.name, push.locator, now, version_id=version.id)
    return Registered(version, news=True)


def refuse(session: Session, line: Line, name: str, locator: str, reason: str, now: float) -> bool:
    """Record why what lies at `locator` is no version; False when that is known already."""
    last = last_observation(session, line, name, locator)
    if last is not None and last.version_id is None and last.reason == reason:
        return False
    _observe(session, line, name, locator, now, reason=reason)
    return True


def last_observation(session: Session, line: Line, name: str, locator: str) -> Observation | None:
    """What was last seen under this name at this place."""
    return session.scalar(
        select(Observation)
        .filter_by(line_id=line.id, name=name, locator=locator)
        .order_by(Observation.id.desc())
        .limit(1)
    )


def locate(sessions: sessionmaker[Session], version: Version) -> Path:
    """A directory that holds the files of `version` now, out of all where it was ever seen.

    Raises CheckpointChangedError when there is none.
    """
    with sessions() as session:
        seen = session.scalars(
            select(Observation.locator).filter_by(version_id=version.id).order_by(Observation.id)
        ).all()
    problem = "it was never seen anywhere"
    for locator in dict.fromkeys(seen):
        # Links were judged when it was registered; now the digest decides.
        listing = list_directory(Path(locator), root=Path("/"))
        try:
            push = identify_push(sessions, Path(locator), version.name, locator, listing)
        except CheckpointRefusedError as error:
            problem = f"{locator}: {error}"
            continue
        if push.identity.content == version.content_digest:
            return Path(locator)
        problem = f"{locator}: holds other files now"
    raise CheckpointChangedError(
        f"{version.name}: its files are nowhere to be found any more ({problem}); "
        "publish them again"
    )


def _supersede(session: Session, old: Version, name: str, now: float) -> None:
    places = session.execute(
        select(Observation.name, Observation.locator).filter_by(version_id=old.id).distinct()
    ).all()
    if old.state == Trust.NEW and len(places) == 1:
        reason = f"never checked: {name} was overwritten before that"
        move(session, old, Trust.SUPERSEDED, actor=LATENTWATCH, reason=reason, now=now)


def _observe(
    session: Session,
    line: Line,
    name: str,
    locator: str,
    now: float,
    *,
    version_id: int | None = None,
    reason: str | None = None,
) -> None:
    session.add(
        Observation(
            line_id=line.id,
            version_id=version_id,
            name=name,
            locator=locator,
            reason=reason,
            seen_at=now,
        )
    )
    session.flush()
