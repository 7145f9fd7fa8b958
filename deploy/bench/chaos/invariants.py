"""What must hold after every schedule, whatever went wrong."""

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.verdict import Verdict
from deploy.bench.chaos import ledger
from deploy.bench.chaos.schedule import Fault
from deploy.bench.fake_stages import CHANGED, trained, undisturbed
from monitor.database.schema import Audit, Diff, DiffState, Outgoing, Trust, Version
from monitor.lineage.trust import verify_audit
from workers.job import Job, Side
from workers.keeping.store import Store

UNDECIDED_BECAUSE = (CHANGED, "its files are nowhere to be found any more")
"""Reasons for which a version may stay undecided whose files somebody has changed."""


class Findings(NamedTuple):
    """What became of the versions of one schedule."""

    versions: int
    decided: int
    lost: list[str]
    """Contents that were pushed and are not decided."""
    doubled: list[str]
    """Versions that got more than one verdict."""
    unequal: list[str]
    """Versions whose training ended otherwise than an undisturbed one."""
    broken: list[str]
    """Whatever else does not hold."""
    stale_refused: int
    """Results that were refused because their worker no longer had the lease."""
    struck: tuple[Fault, ...] = ()
    """The faults that found something to strike."""

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.unequal or self.broken)


def contents(session: Session) -> set[str]:
    """Digests of all versions that were ever seen."""
    return set(session.scalars(select(Version.content_digest)))


def active(session: Session) -> bool:
    """Whether anything is still queued or running."""
    states = (DiffState.QUEUED, DiffState.RUNNING)
    return session.scalar(select(Diff.id).where(Diff.state.in_(states)).limit(1)) is not None


def unsettled(session: Session, pushed: Iterable[str], replaced: Collection[str] = ()) -> list[str]:
    """Those of the contents `pushed`, some of which were `replaced`, about which nothing has been
    decided yet."""
    states = {version.content_digest: version for version in session.scalars(select(Version))}
    return [
        content
        for content in pushed
        if content not in states or not _is_decided(states[content], content in replaced)
    ]


def look(
    session: Session, pushed: set[str], store: Store, replaced: Collection[str] = ()
) -> Findings:
    """Compare what is in the database and in the store with what must hold.

    `pushed` are the digests of what was pushed and is there, or was seen; `replaced` are those of
    what was overwritten.
    """
    versions = [v for v in session.scalars(select(Version)) if v.content_digest in pushed]
    lost = unsettled(session, pushed, replaced)
    passes = Counter(
        session.scalars(select(Audit.version_id).where(Audit.to_state == Trust.PASSED))
    )
    doubled = [version.name for version in versions if passes[version.id] > 1]
    unequal, broken = [], [*verify_audit(session), *ledger.problems(session)]
    for version in versions:
        diffs = session.scalars(
            select(Diff).filter_by(line_id=version.line_id, candidate_digest=version.content_digest)
        ).all()
        keys = Counter((diff.base_digest, diff.recipe_digest) for diff in diffs)
        if max(keys.values(), default=0) > 1:
            doubled.append(version.name)
        for diff in diffs:
            if diff.state == DiffState.DONE:
                problem = _problem(diff)
                broken += [] if problem is None else [f"{version.name}: {problem}"]
            job = _job(diff)
            ended = trained(job, store)
            if ended is not None and ended != undisturbed(job):
                unequal.append(version.name)
    if session.scalar(select(Outgoing.id).limit(1)) is not None and not active(session):
        broken.append("a message is left for a diff that has ended")
    decided, refused = len(pushed) - len(lost), ledger.stale_refused(session)
    return Findings(len(pushed), decided, lost, doubled, unequal, broken, refused)


def _is_decided(version: Version, replaced: bool) -> bool:
    if version.state == Trust.UNDECIDED:
        return replaced and any(reason in (version.reason or "") for reason in UNDECIDED_BECAUSE)
    if version.state == Trust.SUPERSEDED:  # overwritten before it was ever queued
        return "overwritten" in (version.reason or "")
    return version.state in (Trust.PASSED, Trust.TRUSTED)


def _problem(diff: Diff) -> str | None:
    if diff.owner is not None or diff.lease_until is not None:
        return "it has ended but somebody still has it"
    verdict = Verdict.model_validate_json(diff.verdict or "{}")
    if (verdict.base.digest, verdict.candidate.digest) != (diff.base_digest, diff.candidate_digest):
        return "it has the verdict of another comparison"
    return None


def _job(diff: Diff) -> Job:
    def side(digest: str) -> Side:
        return Side(digest, digest, Path(), "")

    return Job(None, side(diff.base_digest), side(diff.candidate_digest))
