"""What the command line shows of the database, as plain data."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from alerts.verdict import Verdict
from monitor.database.schema import (
    Audit,
    Diff,
    Line,
    Observation,
    StoredCalibration,
    Trust,
    Version,
)
from monitor.errors import UnreadableVerdictError
from monitor.lineage.lookup import last_observations
from monitor.lineage.trust import trusted_versions

UNREADABLE = (
    "its verdict can't be read: it is damaged, or of another release of latentwatch; take the "
    "version for unchecked. After an update give all processes the same release; else restore the "
    "database, or compare it again: `latentwatch check DIRECTORY --baseline trusted --line LINE`"
)
_LAST_FIRST = (Diff.finished_at.desc().nulls_first(), Diff.id.desc())


class LineRow(NamedTuple):
    """A line and how many of its versions are in which state."""

    name: str
    trusted: list[str]
    """Names of its trusted versions; the next ones are compared with the first."""
    states: dict[str, int]
    calibrated_at: float | None = None
    """When the first of `trusted` was last calibrated."""


class Said(NamedTuple):
    """What a verdict comes to; the rest is shown by `show`."""

    verdict: str
    severity: str | None

    @classmethod
    def of_json(cls, text: str) -> "Said":
        """Of the JSON of a verdict."""
        try:
            content = json.loads(text)
            return cls(content["verdict"], content["severity"])
        except (ValueError, KeyError, TypeError):
            return cls("unreadable", None)


class VersionRow(NamedTuple):
    """A version, or a push that is none."""

    name: str
    aliases: list[str]
    digest: str | None
    """None where it was refused."""
    state: str
    reason: str | None
    verdict: Said | None
    """Of its latest comparison."""
    seen_at: float

    def for_programs(self) -> dict[str, Any]:
        """The row as JSON."""
        return self._asdict() | {"verdict": self.verdict and self.verdict._asdict()}


def line_rows(session: Session) -> list[LineRow]:
    """All lines, by name."""
    rows = []
    for line in session.scalars(select(Line).order_by(Line.name)).all():
        trusted = trusted_versions(session, line)
        states = session.execute(
            select(Version.state, func.count()).filter_by(line_id=line.id).group_by(Version.state)
        )
        counts = {state: count for state, count in states}
        refused = len(refused_pushes(session, line))
        if refused:
            counts[Trust.UNDECIDED] = counts.get(Trust.UNDECIDED, 0) + refused
        names = [version.name for version in trusted]
        rows.append(LineRow(line.name, names, counts, _calibrated_at(session, line, trusted)))
    return rows


def _calibrated_at(session: Session, line: Line, trusted: Sequence[Version]) -> float | None:
    if not trusted:
        return None
    return session.scalar(
        select(func.max(StoredCalibration.created_at)).filter_by(
            line_id=line.id, base_digest=trusted[0].content_digest
        )
    )


def version_rows(session: Session, line: Line) -> list[VersionRow]:
    """All versions of `line` and all pushes that are none as they lie there, or lay there last,
    oldest first."""
    names, said = _names_by_version(session, line), _said_by_digest(session, line)
    rows = [
        VersionRow(
            name=version.name,
            aliases=[name for name in names.get(version.id, []) if name != version.name],
            digest=version.content_digest,
            state=version.state,
            reason=version.reason,
            verdict=said.get(version.content_digest),
            seen_at=version.registered_at,
        )
        for version in session.scalars(
            select(Version).filter_by(line_id=line.id).order_by(Version.id)
        )
    ]
    rows += [
        VersionRow(
            name=refusal.name,
            aliases=[],
            digest=None,
            state=Trust.UNDECIDED,
            reason=refusal.reason if refusal.gone_at is None else f"gone: {refusal.reason}",
            verdict=None,
            seen_at=refusal.seen_at,
        )
        for refusal in _never_versions(session, line)
    ]
    return sorted(rows, key=lambda row: row.seen_at)


def _names_by_version(session: Session, line: Line) -> dict[int | None, list[str]]:
    """Every name under which each version of `line` was seen, in order."""
    found: dict[int | None, dict[str, None]] = {}
    seen = select(Observation.version_id, Observation.name).filter_by(line_id=line.id)
    for version_id, name in session.execute(seen.order_by(Observation.id)):
        found.setdefault(version_id, {})[name] = None
    return {version_id: list(names) for version_id, names in found.items()}


def _said_by_digest(session: Session, line: Line) -> dict[str, Said]:
    """What the comparison of each candidate of `line` came to that ended last."""
    last = func.row_number().over(partition_by=Diff.candidate_digest, order_by=_LAST_FIRST)
    ranked = (
        select(Diff.candidate_digest, Diff.verdict, last.label("place"))
        .where(Diff.line_id == line.id, Diff.verdict.is_not(None))
        .subquery()
    )
    rows = session.execute(
        select(ranked.c.candidate_digest, ranked.c.verdict).where(ranked.c.place == 1),
        execution_options={"yield_per": 100},
    )
    return {digest: Said.of_json(verdict) for digest, verdict in rows}


def latest_verdict(session: Session, version: Version) -> Verdict | None:
    """The verdict of the comparison of `version` that ended last. Raises UnreadableVerdictError."""
    text = session.scalar(
        _diffs(version).with_only_columns(Diff.verdict).where(Diff.verdict.is_not(None)).limit(1)
    )
    try:
        return None if text is None else Verdict.model_validate_json(text)
    except ValidationError as error:
        raise UnreadableVerdictError(f"{version.name}: {UNREADABLE}") from error


def version_details(session: Session, version: Version) -> dict[str, Any]:
    """Everything about `version`, ready to be written as JSON; times in seconds since the epoch."""
    names = dict(
        session.execute(
            select(Version.content_digest, Version.name).filter_by(line_id=version.line_id)
        ).all()
    )
    seen = session.scalars(
        select(Observation).filter_by(version_id=version.id).order_by(Observation.id)
    )
    moves = session.scalars(select(Audit).filter_by(version_id=version.id).order_by(Audit.id))
    return {
        **_columns(version, "name", "content_digest", "weights_digest", "shape", "state"),
        **_columns(version, "reason", "published_at", "registered_at", "state_at"),
        "seen": [_columns(row, "name", "locator", "seen_at") for row in seen],
        "diffs": [
            {
                "base": {"name": names.get(diff.base_digest), "digest": diff.base_digest},
                **_columns(diff, "recipe_digest", "probe_only", "state", "stage", "attempt"),
                **_columns(diff, "failures", "error", "queued_at", "finished_at"),
                "verdict": _content(diff.verdict),
            }
            for diff in session.scalars(_diffs(version))
        ],
        "history": [
            _columns(row, "from_state", "to_state", "actor", "reason", "at") for row in moves
        ],
    }


def refused_pushes(session: Session, line: Line) -> list[Observation]:
    """The pushes that lie there and are no version: the last observation of each."""
    return [one for one in _never_versions(session, line) if one.gone_at is None]


def _never_versions(session: Session, line: Line) -> list[Observation]:
    seen = last_observations(session, line).values()
    newest = {one.name: one for one in seen}
    return [
        one
        for one in seen
        if one.version_id is None and (one.gone_at is None or newest[one.name] is one)
    ]


def _diffs(version: Version) -> Select[Diff]:
    return (
        select(Diff)
        .filter_by(line_id=version.line_id, candidate_digest=version.content_digest)
        .order_by(*_LAST_FIRST)
    )


def _content(verdict: str | None) -> Any:
    """The JSON; None where there is none, or what is there is damaged."""
    try:
        return None if verdict is None else json.loads(verdict)
    except ValueError:
        return None


def _columns(row: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}
