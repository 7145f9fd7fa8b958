"""A push that a source shows becomes a version of its line, or a refusal with its reason."""

from sqlalchemy.orm import Session, sessionmaker

from monitor.directory import DirectorySource
from monitor.errors import CheckpointRefusedError
from monitor.intake import ensure_line, identify_push, refuse, register
from monitor.readiness import Rule
from monitor.settings import LineSettings
from monitor.source import Source
from monitor.watch import Complete, Event, step


def source_of(settings: LineSettings) -> Source:
    """Where the versions of the line appear."""
    return DirectorySource(settings.directory, settings.include)


def rule_of(settings: LineSettings) -> Rule:
    """How the line's pushes show that they are complete."""
    return Rule(settings.ready_marker, settings.quiet_seconds, settings.quiet_polls)


def admit(
    sessions: sessionmaker[Session], line_name: str, source: Source, event: Event, now: float
) -> str | None:
    """Register or refuse the push of `event`; a sentence about it when there is any news."""
    seen = event.observation
    push, reason = None, ""
    if isinstance(event, Complete):
        try:
            path = source.open(seen)
            push = identify_push(sessions, path, seen.name, seen.locator, seen.listing)
        except CheckpointRefusedError as error:
            reason = str(error)
    else:
        reason = event.reason
    with sessions.begin() as session:
        line = ensure_line(session, line_name, now)
        if push is None:
            news = refuse(session, line, seen.name, seen.locator, reason, now)
            return f"{line_name}: {seen.name} is not checked: {reason}" if news else None
        version, news = register(session, line, push, now)
        if not news:
            return None
        alias = "" if version.name == seen.name else f", the same as {version.name}"
        digest = version.content_digest[:12]
        return f"{line_name}: {seen.name} is version {digest}{alias} ({version.state})"


def admit_named(
    sessions: sessionmaker[Session], settings: LineSettings, name: str, now: float
) -> None:
    """Admit the push called `name` of a watched line, if it is there, ahead of the next round.

    A refusal is recorded, not raised.
    """
    source = source_of(settings)
    seen = [observation for observation in source.scan() if observation.name == name]
    _, events = step({}, seen, rule_of(settings), now)
    for event in events:
        admit(sessions, settings.name, source, event, now)
