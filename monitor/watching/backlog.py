"""What happens when pushes outrun the workers: the newest versions are checked, and those that are
skipped for them are superseded, which everybody sees and which is never a pass."""

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from monitor.database.schema import Diff, DiffState, Line, Trust, Version
from monitor.jobs.diff_endings import request_cancel
from monitor.jobs.settlement import outcome_of
from monitor.lineage.trust import LATENTWATCH, move


def skip_oldest(session: Session, line: Line, most: int, now: float) -> list[Version]:
    """Supersede the oldest versions of `line` that wait, so that `most` of them go on waiting.

    What somebody is at work on does not wait. One that another base has flagged already is not
    superseded: it is flagged. Who wants a skipped version checked
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
    if not _is_flagged(session, version):  # else the cancel of what is left settles it
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


def _is_flagged(session: Session, version: Version) -> bool:
    """Whether a comparison of `version` with a trusted version has flagged it."""
    trusted = select(Version.content_digest).where(
        Version.line_id == version.line_id, Version.state == Trust.TRUSTED
    )
    diffs = session.scalars(
        select(Diff).where(
            Diff.line_id == version.line_id,
            Diff.candidate_digest == version.content_digest,
            Diff.base_digest.in_(trusted),
            Diff.state == DiffState.DONE,
        )
    ).all()
    outcome = outcome_of(diffs)
    return outcome is not None and outcome.state == Trust.FLAGGED
