"""What the finished diffs of a candidate make of its trust state.

Only comparisons with versions that are trusted now count, of each the latest one, and the worst of
them wins. A diff without a verdict, or no such diff at all, makes the candidate undecided.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from monitor.database.schema import Diff, DiffState, Trust, Version
from monitor.lineage.trust import LATENTWATCH, move

_WORST_FIRST = (Trust.FLAGGED, Trust.UNDECIDED, Trust.PASSED)
OUTCOMES = frozenset(_WORST_FIRST)
"""What a verdict can be."""


class Outcome(NamedTuple):
    """The state that diffs lead to, and why."""

    state: Trust
    reason: str


def settle(session: Session, diff: Diff, now: float) -> None:
    """Move the candidate of `diff` out of `checking` when nothing more is to be waited for."""
    candidate = session.scalars(
        select(Version).filter_by(line_id=diff.line_id, content_digest=diff.candidate_digest)
    ).one()
    if candidate.state != Trust.CHECKING:
        return
    trusted = select(Version.content_digest).where(
        Version.line_id == diff.line_id, Version.state == Trust.TRUSTED
    )
    diffs = session.scalars(
        select(Diff)
        .where(
            Diff.line_id == diff.line_id,
            Diff.candidate_digest == diff.candidate_digest,
            Diff.base_digest.in_(trusted),
        )
        .execution_options(populate_existing=True)
    ).all()
    outcome = outcome_of(diffs)
    if outcome is not None:
        move(session, candidate, outcome.state, actor=LATENTWATCH, reason=outcome.reason, now=now)


def outcome_of(diffs: Sequence[Diff]) -> Outcome | None:
    """Where `diffs` of one candidate against trusted bases lead; None while one is under way."""
    if any(diff.state in (DiffState.QUEUED, DiffState.RUNNING) for diff in diffs):
        return None
    latest: dict[str, Diff] = {}
    for diff in sorted(diffs, key=lambda diff: (diff.finished_at or 0.0, diff.id)):
        # That somebody wanted no further verdict takes nothing from the one that is there.
        if diff.state != DiffState.CANCELLED or diff.base_digest not in latest:
            latest[diff.base_digest] = diff
    if not latest:
        return Outcome(Trust.UNDECIDED, "the version it was compared with is no longer trusted")
    outcomes = [_outcome(diff) for diff in latest.values()]
    return min(outcomes, key=lambda outcome: _WORST_FIRST.index(outcome.state))


def _outcome(diff: Diff) -> Outcome:
    if diff.verdict is None:
        return Outcome(Trust.UNDECIDED, diff.error or "the comparison ended without a verdict")
    verdict = json.loads(diff.verdict)
    state = Trust(verdict["verdict"])
    if diff.state != DiffState.DONE and state != Trust.FLAGGED:  # the verdict of an earlier try
        return Outcome(Trust.UNDECIDED, diff.error or "the comparison failed")
    default = "no behaviour has shifted" if state == Trust.PASSED else f"the verdict is {state}"
    return Outcome(state, "; ".join(verdict.get("reasons") or []) or default)
