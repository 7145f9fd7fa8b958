"""Calibrations in the database: what a line accepted, and what is known of its nulls.

Free of torch; the nulls are measured in `workers.calibrate`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.deciding.calibration import AgedCalibration, Calibration
from alerts.records.behaviour import Behaviour
from alerts.verdict import Verdict
from monitor.database.schema import Diff, Line, StoredCalibration, Trust, Version
from monitor.lineage.lookup import find_line
from monitor.lineage.overview import UNREADABLE

_DAY = 86_400.0


class AcceptedRelease(NamedTuple):
    """A version that is trusted now, and what it was compared with before."""

    base: Version
    candidate: Version
    quiet: frozenset[str]
    """Behaviours that a verdict of the pair measured and none flagged. Who trusts a flagged one
    calls its shift wanted, not noise; of what nobody measured nobody knows."""


def accepted_releases(session: Session, line_name: str) -> tuple[list[AcceptedRelease], list[str]]:
    """Every version of the line with a verdict that is trusted now, by first verdict, beside the
    newest version that it was compared with and the comparison said something of; and a sentence
    about every verdict that can't be read and does not count.

    One pair for each: what a release does against an anchor as well is the same release a second
    time, and the nulls of a conformal p-value may not depend on each other.
    """
    line = find_line(session, line_name)
    known = {
        v.content_digest: v for v in session.scalars(select(Version).filter_by(line_id=line.id))
    }
    rows: dict[tuple[str, str], list[Behaviour]] = {}
    unreadable: list[str] = []
    for diff in session.scalars(
        select(Diff)
        .where(Diff.line_id == line.id, Diff.verdict.is_not(None))
        .order_by(Diff.finished_at, Diff.id)
    ):
        if known[diff.candidate_digest].state == Trust.TRUSTED:
            pair = (diff.base_digest, diff.candidate_digest)
            try:
                verdict = Verdict.model_validate_json(diff.verdict or "")
            except ValidationError:
                names = [known[digest].name for digest in reversed(pair)]
                unreadable.append(f"{' after '.join(names)}: {UNREADABLE}")
                continue
            rows.setdefault(pair, []).extend(verdict.behaviours)
    found = dict[str, AcceptedRelease]()
    for (base, candidate), behaviours in rows.items():
        release = AcceptedRelease(known[base], known[candidate], _quiet(behaviours))
        found[candidate] = max(release, found.get(candidate, release), key=_says_most)
    return list(found.values()), unreadable


def _says_most(release: AcceptedRelease) -> tuple[bool, float, int]:
    return bool(release.quiet), release.base.published_at, release.base.id


def _quiet(rows: Sequence[Behaviour]) -> frozenset[str]:
    measured = {
        row.name
        for row in rows
        if None not in (row.shift, row.ci_low, row.p_corrected, row.noise_floor)
    }
    return frozenset(measured - {row.name for row in rows if row.flagged})


def keep(session: Session, base: Version, calibration: Calibration) -> None:
    """Add `calibration` of the version `base`."""
    session.add(
        StoredCalibration(
            line_id=base.line_id,
            base_digest=base.content_digest,
            recipe_digest=calibration.recipe,
            created_at=calibration.created_at,
            calibration=calibration.model_dump_json(),
        )
    )


def latest(
    session: Session, line_name: str, base_digest: str, now: float
) -> AgedCalibration | None:
    """The newest calibration for a diff against `base_digest`, at the time `now`.

    Where that base has none, the line's newest one, which then does not count and says why. None
    where the line has none, or one that only another version of latentwatch can read.
    """
    of_base = StoredCalibration.base_digest == base_digest
    row = session.scalar(
        select(StoredCalibration)
        .join(Line, Line.id == StoredCalibration.line_id)
        .where(Line.name == line_name)
        .order_by(of_base.desc(), StoredCalibration.created_at.desc(), StoredCalibration.id.desc())
        .limit(1)
    )
    if row is None:
        return None
    try:
        calibration = Calibration.model_validate_json(row.calibration)
    except ValidationError:
        return None
    return AgedCalibration(calibration, max(now - row.created_at, 0.0) / _DAY)
