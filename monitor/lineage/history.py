"""The verdicts on the versions of a line, by what they were compared with."""

import logging

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from alerts.pages.history import Against, Release
from alerts.verdict import Verdict
from monitor.database.schema import Diff, Line, Version
from monitor.settings import Settings

SHOWN = 12
"""Versions before the newest one."""

logger = logging.getLogger(__name__)


def verdicts_on(
    session: Session, line: Line, candidate_digest: str, anchor: str | None
) -> dict[Against, tuple[str, Verdict]]:
    """The newest verdict on a version of `line`, with the name of its base: against the trusted
    version, and against the version `anchor`."""
    rows = session.execute(
        select(Version.name, Diff.verdict)
        .join(
            Version,
            (Version.line_id == line.id) & (Version.content_digest == Diff.base_digest),
            isouter=True,
        )
        .where(
            Diff.line_id == line.id,
            Diff.candidate_digest == candidate_digest,
            Diff.verdict.is_not(None),
        )
        .order_by(Diff.finished_at)
    ).all()
    # A later comparison with the same base takes the place of an earlier one.
    found: dict[Against, tuple[str, str]] = {
        against_of(base, anchor): (base or "", text) for base, text in rows if text is not None
    }
    order: tuple[Against, Against] = ("trusted", "anchor")
    return {
        against: (found[against][0], Verdict.model_validate_json(found[against][1]))
        for against in order
        if against in found
    }


def earlier_verdicts(
    session: Session, line_name: str, candidate_digest: str, most: int
) -> list[tuple[str, Verdict]]:
    """Of the versions that the line had before this candidate and that have a verdict, the last
    ones, at most `most`: names and newest verdicts, the newest version first."""
    line = session.scalars(select(Line).filter_by(name=line_name)).one_or_none()
    candidate = session.scalar(
        select(Version.id).where(
            Version.line_id == (line.id if line else None),
            Version.content_digest == candidate_digest,
        )
    )
    if line is None or candidate is None:
        return []
    verdicts = select(Diff.verdict).where(Diff.line_id == line.id, Diff.verdict.is_not(None))
    versions = session.execute(
        select(Version.name, Version.content_digest)
        .where(
            Version.line_id == line.id,
            Version.id < candidate,
            verdicts.where(Diff.candidate_digest == Version.content_digest).exists(),
        )
        .order_by(Version.id.desc())
        .limit(most)
    ).all()
    found = []
    for name, digest in versions:
        newest = verdicts.where(Diff.candidate_digest == digest).order_by(Diff.finished_at.desc())
        found.append((name, Verdict.model_validate_json(session.scalar(newest.limit(1)) or "")))
    return found


def against_of(base: str | None, anchor: str | None) -> Against:
    """As what the version called `base` was compared with."""
    return "anchor" if base is not None and base == anchor else "trusted"


def anchor_of(settings: Settings, line: str) -> str | None:
    """The name of the line's anchor, if the settings name one."""
    watched = settings.line(line)
    return None if watched is None else watched.anchor


def line_history(
    sessions: sessionmaker[Session], settings: Settings, verdict: Verdict
) -> list[Release]:
    """What is known of the versions of the verdict's line up to its candidate, that verdict being
    the last. Empty where it belongs to no line, or where the database can't be read."""
    try:
        with sessions() as session:
            return _read(session, settings, verdict)
    except (SQLAlchemyError, ValueError) as error:  # the page is worth having without
        logger.warning("the report is written without the line's history: %s", error)
        return []


def _read(session: Session, settings: Settings, verdict: Verdict) -> list[Release]:
    line = session.scalars(select(Line).filter_by(name=verdict.line)).one_or_none()
    if line is None:
        return []
    anchor = anchor_of(settings, line.name)
    of_line = select(Version).where(Version.line_id == line.id)
    candidate, base = (
        session.scalars(of_line.where(Version.content_digest == one.digest)).one_or_none()
        for one in (verdict.candidate, verdict.base)
    )
    if candidate is None or base is None:
        return []
    against = against_of(base.name, anchor)
    this = Release(
        candidate.name, candidate.published_at, candidate.state, base.name, against, verdict
    )
    compared = of_line.where(
        Version.id <= candidate.id,
        Version.content_digest.in_(
            select(Diff.candidate_digest).where(Diff.line_id == line.id, Diff.verdict.is_not(None))
        ),
    )
    newest = session.scalars(compared.order_by(Version.id.desc()).limit(SHOWN)).all()
    found = [
        Release(version.name, version.published_at, version.state, base_name, how, known)
        for version in reversed(newest)
        for how, (base_name, known) in verdicts_on(
            session, line, version.content_digest, anchor
        ).items()
    ]
    digest = verdict.candidate.digest
    others = [
        one
        for one in found
        if (one.verdict.candidate.digest, one.against) != (digest, this.against)
    ]
    return [*others, this]
