"""From a push to rows: identified outside any transaction, then registered in one.

The same content under another name is an alias: one more observation, no second version.
"""

from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from monitor.checkpoints.checkpoint import Checkpoint, inspect_checkpoint
from monitor.checkpoints.digest_cache import DatabaseDigestCache
from monitor.checkpoints.identity import Identity, identify
from monitor.checkpoints.listing import Listing, list_directory
from monitor.database.schema import Line, Observation, Trust, Version
from monitor.lineage.trust import LATENTWATCH, move
from monitor.sources.source import Observation as Seen
from monitor.sources.source import Place
from monitor.watching.sightings import last_observation, observe


class Push(NamedTuple):
    """A complete checkpoint with its identity, not yet registered anywhere."""

    name: str
    locator: str
    checkpoint: Checkpoint
    identity: Identity
    published_at: float
    """In seconds since the epoch."""
    fingerprint: str | None = None
    """What a remote place said about the files; None where they are local."""


def identify_push(
    sessions: sessionmaker[Session],
    path: Path,
    name: str,
    locator: str,
    listing: Listing | None = None,
) -> Push:
    """Read the checkpoint at `path`. Raises CheckpointRefusedError; registers nothing."""
    checkpoint = inspect_checkpoint(path, listing)
    identity = identify(checkpoint, DatabaseDigestCache(sessions))
    return Push(name, locator, checkpoint, identity, checkpoint.listing.newest())


def identify_download(sessions: sessionmaker[Session], path: Path, seen: Seen) -> Push:
    """As `identify_push`, for what was downloaded to `path`, where its files have other times."""
    push = identify_push(
        sessions, path, seen.name, seen.locator, list_directory(path, root=Path("/"))
    )
    return push._replace(published_at=seen.listing.newest(), fingerprint=seen.fingerprint)


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
    """That the watcher looked at the line `name`, or what kept it from that.

    Who looks and can't queue what is there has a problem too: it stays until that is tried again.
    """
    line = ensure_line(session, name, now)
    line.taking_in_since = None
    if problem is None:
        line.looked_at = now
    else:
        line.look_problem = problem


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
            published_at=min(push.published_at, now),  # the publisher sets a file's time
            registered_at=now,
            state=Trust.NEW,
            state_at=now,
        )
        session.add(version)
        session.flush()
    place = Place(push.name, push.locator)
    news = _see(session, line, version, place, push.fingerprint, now)
    return Registered(version, news)


def register_alias(session: Session, line: Line, seen: Seen, now: float) -> Registered | None:
    """The version whose files had the fingerprint of `seen`, with one more observation of it.

    None where the line has no such version: its files have to be read.
    """
    if seen.fingerprint is None:
        return None
    version = session.scalar(
        select(Version)
        .join(Observation, Observation.version_id == Version.id)
        .where(Observation.line_id == line.id, Observation.fingerprint == seen.fingerprint)
        .limit(1)
    )
    if version is None:
        return None
    place = Place(seen.name, seen.locator)
    news = _see(session, line, version, place, seen.fingerprint, now)
    return Registered(version, news)


def _see(
    session: Session,
    line: Line,
    version: Version,
    place: Place,
    fingerprint: str | None,
    now: float,
) -> bool:
    """Observe `version` at a place, unless it was the last thing seen there; whether that is new.

    What was there before is superseded where that was never checked.
    """
    last = last_observation(session, line, *place)
    same = last is not None and last.version_id == version.id and last.gone_at is None
    if last is not None:
        last.unread_at = None
    if same and last is not None and fingerprint in (None, last.fingerprint):
        return False
    if last is not None and last.version_id not in (None, version.id):
        _supersede(session, session.get_one(Version, last.version_id), place.name, now)
    if version.state == Trust.SUPERSEDED:
        move(session, version, Trust.NEW, actor=LATENTWATCH, reason="seen again", now=now)
    observe(session, line, place, now, version_id=version.id, fingerprint=fingerprint)
    return not same


def _supersede(session: Session, old: Version, name: str, now: float) -> None:
    places = session.execute(
        select(Observation.name, Observation.locator).filter_by(version_id=old.id).distinct()
    ).all()
    if old.state == Trust.NEW and len(places) == 1:
        reason = f"never checked: {name} was overwritten before that"
        move(session, old, Trust.SUPERSEDED, actor=LATENTWATCH, reason=reason, now=now)
