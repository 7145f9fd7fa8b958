"""A push that a source shows becomes a version of its line, or a refusal with its reason."""

from pathlib import Path

from sqlalchemy.orm import Session, sessionmaker

from monitor.checkpoints.weights import refuse_unsafe_weights
from monitor.errors import CheckpointRefusedError
from monitor.settings import Settings
from monitor.settings.lines import LineSettings
from monitor.sources.fetching import source_of
from monitor.sources.readiness import Rule
from monitor.sources.source import Observation, Place, Source, never_changes
from monitor.watching.intake import (
    Push,
    Registered,
    ensure_line,
    identify_download,
    identify_push,
    register,
    register_alias,
)
from monitor.watching.sightings import refuse
from monitor.watching.watch import Complete, Event, Incomplete, step


def rule_of(settings: LineSettings) -> Rule:
    """How the line's pushes show that they are complete."""
    return Rule(settings.ready_marker, settings.quiet_seconds, settings.quiet_polls)


def admit(
    sessions: sessionmaker[Session], line_name: str, source: Source, event: Event, now: float
) -> str | None:
    """Register or refuse the push of `event`; a sentence about it when there is any news.

    Raises SourceError, and records nothing, when its files can't be listed, fetched or read now.
    """
    seen = event.observation
    if seen.listing.unread:
        seen.listing.raise_problem()
    try:
        if not isinstance(event, Complete):
            raise CheckpointRefusedError(event.reason)
        found = _registered(sessions, line_name, source, seen, now)
    except CheckpointRefusedError as error:
        with sessions.begin() as session:
            line = ensure_line(session, line_name, now)
            pending = isinstance(event, Incomplete) and (
                event.settling or (event.unfinished and not never_changes(seen.locator))
            )
            place = Place(seen.name, seen.locator)
            news = refuse(session, line, place, str(error), now, pending=pending)
        return f"{line_name}: {seen.name} is not checked: {error}" if news else None
    version, news = found
    if not news:
        return None
    alias = "" if version.name == seen.name else f", the same as {version.name}"
    digest = version.content_digest[:12]
    return f"{line_name}: {seen.name} is version {digest}{alias} ({version.state})"


def admit_named(
    sessions: sessionmaker[Session],
    settings: Settings,
    line: LineSettings,
    name: str,
    now: float,
) -> None:
    """Admit the push called `name` of a watched line, if it is there, ahead of the next round.

    A refusal is recorded, not raised. Raises SourceError.
    """
    source = source_of(line, settings)
    seen = [observation for observation in source.scan() if observation.name == name]
    _, events = step({}, seen, rule_of(line), now)
    for event in events:
        admit(sessions, line.name, source, event, now)


def _registered(
    sessions: sessionmaker[Session],
    line_name: str,
    source: Source,
    seen: Observation,
    now: float,
) -> Registered:
    # By all its names: a pickle that is never fetched makes a push unsafe too.
    refuse_unsafe_weights({file.path for file in seen.listing.files})
    with sessions.begin() as session:
        known = register_alias(session, ensure_line(session, line_name, now), seen, now)
    if known is not None:
        return known
    with source.open(seen.locator) as path:
        push = _identified(sessions, path, seen)
    with sessions.begin() as session:
        return register(session, ensure_line(session, line_name, now), push, now)


def _identified(sessions: sessionmaker[Session], path: Path, seen: Observation) -> Push:
    if seen.fingerprint is None:
        return identify_push(sessions, path, seen.name, seen.locator, seen.listing)
    return identify_download(sessions, path, seen)
