"""With what a version is compared, and whether that is due."""

from collections.abc import Callable

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, defer

from monitor.database.schema import Diff, DiffState, Line, Trust, Version
from monitor.errors import LatentwatchError, NoTrustedVersionError
from monitor.jobs import leases
from monitor.jobs.diff_endings import request_cancel
from monitor.jobs.diff_queue import is_retriable, queue_diff
from monitor.lineage.lookup import find_version
from monitor.lineage.trust import move, trusted_base, was_ever_trusted
from monitor.moments import doubled, has_come
from monitor.settings.lines import LineSettings

BY_SETTINGS = "settings"
"""The actor of the trust that the settings give to a line's first version."""

LONGEST_RETRY_SECONDS = 24 * 3600.0
"""That a comparison which fails time after time waits between two failures."""

_ENDORSABLE = (Trust.NEW, Trust.PASSED, Trust.UNDECIDED)
UNSETTLED = (Trust.NEW, Trust.UNDECIDED, Trust.FLAGGED)


def trust_first(session: Session, line: Line, settings: LineSettings, now: float) -> None:
    """Trust the version that the settings name, unless the line ever had a trusted one.

    After that only people decide: whoever overwrites the named version gains nothing.
    """
    if settings.trusted is None or was_ever_trusted(session, line):
        return
    try:
        version = find_version(session, line, settings.trusted)
    except LatentwatchError as error:
        raise NoTrustedVersionError(
            f"line {line.name}: the settings trust {settings.trusted!r}, but {error}"
        ) from error
    if version.state == Trust.NEW:
        reason = "named as the trusted version in the settings"
        move(session, version, Trust.TRUSTED, actor=BY_SETTINGS, reason=reason, now=now)


def trust_endorsed(
    session: Session,
    line: Line,
    version: Version,
    endorsed_by: str,
    report: Callable[[str], None],
    now: float,
) -> None:
    """Trust the version that its place says is trusted, as the settings of the line allow.

    What was flagged, quarantined or skipped here stays so, which is reported; only a person changes
    that.
    """
    if version.state == Trust.TRUSTED:
        return
    if version.state in _ENDORSABLE:
        reason = f"{endorsed_by} names it"
        move(session, version, Trust.TRUSTED, actor=endorsed_by, reason=reason, now=now)
    elif version.state != Trust.CHECKING:
        remedy = "decide with `latentwatch trust`"
        if version.state == Trust.SUPERSEDED:  # which nobody can trust as it is
            remedy = (
                "nobody has checked it: run `latentwatch check DIRECTORY --baseline trusted --line "
                f"{line.name}` on its files first, then `latentwatch trust`"
            )
        report(
            f"{version.name} is {version.state} and stays so although {endorsed_by} names it; "
            f"{remedy}"
        )


def bases(session: Session, line: Line, settings: LineSettings) -> list[Version]:
    """The newest trusted version, and the anchor if there is another one.

    Raises NoTrustedVersionError, also when the anchor isn't trusted.
    """
    base = trusted_base(session, line)
    anchor = pinned_anchor(session, line, settings)
    return [base] if anchor is None or anchor.id == base.id else [base, anchor]


def pinned_anchor(session: Session, line: Line, settings: LineSettings) -> Version | None:
    """The version that the settings pin as the anchor, None where they name none.

    Raises NoTrustedVersionError when it isn't trusted.
    """
    if settings.anchor is None:
        return None
    anchor = find_version(session, line, settings.anchor)
    if anchor.state != Trust.TRUSTED:
        raise NoTrustedVersionError(
            f"line {line.name}: the anchor {anchor.name} is {anchor.state}; trust it, or name "
            "another one in the settings"
        )
    return anchor


def queue_versions(
    session: Session,
    line: Line,
    against: list[Version],
    version_ids: set[int],
    recipe_digest: str,
    *,
    retry_after: float,
    now: float,
) -> list[Version]:
    """Queue what is to be compared of the versions `version_ids`, and return those.

    That is every new version; an undecided one where it was not yet compared with a base; and an
    undecided or flagged one where that failed under another recipe, or long enough ago:
    `retry_after` seconds if it failed once, and twice as long after every further failure, up to
    LONGEST_RETRY_SECONDS.
    """
    versions = session.scalars(
        select(Version)
        .where(Version.id.in_(version_ids), Version.state.in_(UNSETTLED))
        .order_by(Version.published_at, Version.id)
    ).all()
    last = _last_diffs(session, line, [one for one in versions if one.state != Trust.NEW])
    queued = []
    for version in versions:
        due = [
            base
            for base in against
            if version.state == Trust.NEW
            or _is_due(
                last.get((base.content_digest, version.content_digest)),
                version,
                recipe_digest,
                retry_after,
                now,
            )
        ]
        for base in due:
            queue_diff(session, line, base, version, recipe_digest, now)
        if due:
            queued.append(version)
    return queued


def adopt_recipe(session: Session, line: Line, recipe_digest: str, now: float) -> None:
    """Have what waits on `line` under another recipe compared by the present one, and what a
    process that is gone had begun to compare by it.

    Where that was asked for before under the present one, it is asked for again.
    """
    abandoned = leases.abandoned(session, Diff, now)
    waiting = select(Diff).where(
        Diff.line_id == line.id,
        or_(Diff.state == DiffState.QUEUED, abandoned),
        Diff.recipe_digest != recipe_digest,
    )
    for diff in session.scalars(waiting.options(defer(Diff.verdict))).all():
        pair = {"base_digest": diff.base_digest, "candidate_digest": diff.candidate_digest}
        known = select(Diff.id).filter_by(line_id=line.id, recipe_digest=recipe_digest, **pair)
        if session.scalar(known) is None:
            diff.recipe_digest, diff.error, diff.failures = recipe_digest, None, 0
            diff.passed_on_at = None
            # As it is queued again, whoever may still be at work on it can't write any more.
            diff.state, diff.owner, diff.lease_until = DiffState.QUEUED, None, None
            continue
        request_cancel(session, diff.id, "asked for under another recipe since", now)
        base, candidate = (
            session.scalars(select(Version).filter_by(line_id=line.id, content_digest=one)).one()
            for one in pair.values()
        )
        queue_diff(session, line, base, candidate, recipe_digest, now)


def _last_diffs(
    session: Session, line: Line, versions: list[Version]
) -> dict[tuple[str, str], Diff]:
    """The last diff of each of `versions` with each of its bases, by both digests."""
    if not versions:
        return {}
    diffs = session.scalars(
        select(Diff)
        .where(
            Diff.line_id == line.id,
            Diff.candidate_digest.in_([version.content_digest for version in versions]),
        )
        .order_by(Diff.queued_at, Diff.id)
        .options(defer(Diff.verdict))
    )
    return {(diff.base_digest, diff.candidate_digest): diff for diff in diffs}


def _is_due(
    last: Diff | None, version: Version, recipe_digest: str, retry_after: float, now: float
) -> bool:
    if last is None:
        return version.state == Trust.UNDECIDED
    if last.finished_at is None or not is_retriable(last):
        return False
    wait = doubled(retry_after, last.failures, LONGEST_RETRY_SECONDS)
    return last.recipe_digest != recipe_digest or has_come(last.finished_at + wait, now, wait)
