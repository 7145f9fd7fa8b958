"""What happens when pushes outrun the workers: the newest versions are checked, and those that are
skipped for them are superseded, which everybody sees and which is never a pass."""

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from monitor.database.schema import Diff, DiffState, Line, Trust, Version
from monitor.jobs.diff_endings import request_cancel
from monitor.lineage.trust import LATENTWATCH, move


def skip_oldest(session: Session, line: Line, most: int, now: float) -> list[Version]:
    """Supersede the oldest versions of `line` that wait, so that `most` of them go on waiting.

    What somebody is at work on does not wait. One that was compared with another base already is
    not superseded: it is flagged if that was, else undecided. Who wants a skipped version checked
    all the same runs `latentwatch check` on it.
    """
    diffs = (
        select(Diff.id)
        .where(Diff.line_id == Version.line_id, Diff.candidate_digest == Version.content_digest)
        .correlate(Version)
    )
    waiting = session.scalars(
        select(Version)
        .where(Version.line_id == line.id, Version.state == Trust.CHECKING)
        .where(exists(diffs.where(Diff.state == DiffState.QUEUED)))
        .where(~exists(diffs.where(Diff.state == DiffState.RUNNING)))
        .order_by(Version.published_at.desc(), Version.id.desc())
    ).all()
    skipped = list(waiting[most:])
    for version in skipped:
        _skip(session, version, most, now)
    return skipped


def _skip(session: Session, version: Version, most: int, now: float) -> None:
    reason = f"not checked: {most} newer versions were waiting"
    if not _has_verdict(session, version):  # else what is left is settled by it, and by the cancel
        move(session, version, Trust.SUPERSEDED, actor=LATENTWATCH, reason=reason, now=now)
    queued = session.scalars(
        select(Diff.id).filter_by(
            line_id=version.line_id,
            candidate_digest=version.content_digest,
            state=DiffState.QUEUED,
        )
    )
    for diff_id in queued.all():
        request_cancel(session, diff_id, reason, now)


def _has_verdict(session: Session, version: Version) -> bool:
    """Whether a comparison of `version` with a trusted version has ended with a verdict."""
    trusted = select(Version.content_digest).where(
        Version.line_id == version.line_id, Version.state == Trust.TRUSTED
    )
    ended = select(Diff.id).where(
        Diff.line_id == version.line_id,
        Diff.candidate_digest == version.content_digest,
        Diff.base_digest.in_(trusted),
        Diff.state == DiffState.DONE,
    )
    return session.scalar(ended.limit(1)) is not None
