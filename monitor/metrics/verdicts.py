"""Readings of the newest candidate of each line: its shifts, its features, what steering did."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session, aliased

from alerts.pages.history import Against
from alerts.records.feature import Feature
from alerts.verdict import Verdict
from monitor.database.schema import Diff, Line, Version
from monitor.lineage.history import against_of
from monitor.metrics.reading import Reading
from monitor.settings import Settings


class Told(NamedTuple):
    """The end of a diff, and what its verdict is told as."""

    diff_id: int
    ended_at: float | None
    line: str
    against: Against


class Newest:
    """The verdicts on the version of each line that was registered last among those that have one.

    One per base: the trusted version, and the anchor where the settings name one. Remembers what
    the last scrape has read, so that only what ended since is read anew.
    """

    def __init__(self) -> None:
        self._kept: dict[Told, list[Reading]] = {}

    def read(self, session: Session, settings: Settings) -> Iterator[Reading]:
        """What they say; nothing of one that can't be read, which `Unreadable` counts."""
        self._kept = {
            told: self._kept[told] if told in self._kept else _read(session, told)
            for told in _newest(session, settings)
        }
        for readings in self._kept.values():
            yield from readings


def _newest(session: Session, settings: Settings) -> list[Told]:
    """By line, of which a later comparison with the same base takes the place of an earlier one."""
    candidate, base = aliased(Version), aliased(Version)
    last = (
        select(Version.line_id, func.max(Version.id).label("version_id"))
        .join(
            Diff,
            and_(Diff.line_id == Version.line_id, Diff.candidate_digest == Version.content_digest),
        )
        .where(Diff.verdict.is_not(None))
        .group_by(Version.line_id)
        .subquery()
    )
    rows = session.execute(
        select(Line.name, base.name, Diff.id, Diff.finished_at)
        .join(last, last.c.line_id == Line.id)
        .join(candidate, candidate.id == last.c.version_id)
        .join(
            Diff,
            and_(Diff.line_id == Line.id, Diff.candidate_digest == candidate.content_digest),
        )
        .join(
            base,
            and_(base.line_id == Line.id, base.content_digest == Diff.base_digest),
            isouter=True,
        )
        .where(Diff.verdict.is_not(None))
        .order_by(Line.name, Diff.finished_at)
    )
    found: dict[tuple[str, Against], Told] = {}
    anchors = {line.name: line.anchor for line in settings.lines if line.anchor is not None}
    for line, base_name, diff_id, ended_at in rows:
        against = against_of(base_name, anchors.get(line))
        found[line, against] = Told(diff_id, ended_at, line, against)
    return list(found.values())


def _read(session: Session, told: Told) -> list[Reading]:
    text = session.scalar(select(Diff.verdict).where(Diff.id == told.diff_id))
    try:
        verdict = Verdict.model_validate_json(text or "")
    except ValueError:
        return []
    behaviours = _behaviours(told.line, told.against, verdict)
    return [*behaviours, *_features(told.line, told.against, verdict)]


class Unreadable:
    """How many verdicts of each line can't be read: damaged, or of another release.

    Remembers which ones it has read, by their id and end, so that a scrape reads new ones alone.
    """

    def __init__(self) -> None:
        self._readable: dict[tuple[int, float | None], bool] = {}

    def read(self, session: Session) -> Iterator[Reading]:
        """The number of each line; zero where all can be read."""
        counts = dict.fromkeys(session.scalars(select(Line.name).order_by(Line.name)), 0)
        kept = select(Diff.id, Diff.finished_at, Line.name).join(Line, Line.id == Diff.line_id)
        for diff_id, ended_at, line in session.execute(kept.where(Diff.verdict.is_not(None))).all():
            which = diff_id, ended_at
            if which not in self._readable:
                text = session.scalar(select(Diff.verdict).where(Diff.id == diff_id))
                self._readable[which] = _is_verdict(text)
            counts[line] += not self._readable[which]
        for line, number in counts.items():
            yield Reading("verdicts_unreadable", (line,), number)


def _is_verdict(text: str | None) -> bool:
    try:
        Verdict.model_validate_json(text or "")
    except ValueError:
        return False
    return True


def _behaviours(line: str, against: str, verdict: Verdict) -> Iterator[Reading]:
    for behaviour in verdict.behaviours:
        labels = (line, behaviour.name, against)
        yield Reading("behaviour_flagged", labels, behaviour.flagged)
        if behaviour.shift is not None:
            yield Reading("behaviour_shift_nats", labels, behaviour.shift)
        if behaviour.noise_floor is not None:
            yield Reading("behaviour_noise_floor_nats", labels, behaviour.noise_floor)


def _features(line: str, against: str, verdict: Verdict) -> Iterator[Reading]:
    for side in ("candidate", "base"):
        number = sum(feature.side == side for feature in verdict.features)
        yield Reading("exclusive_features", (line, side, against), number)
    for behaviour, removed in _steered(verdict.features).items():
        labels = (line, behaviour, against)
        yield Reading("feature_steering_effect_max_ratio", labels, removed)


def _steered(features: list[Feature]) -> dict[str, float]:
    largest: dict[str, float] = {}
    for feature in features:
        for effect in feature.effects:
            if effect.ablation_removes is not None:
                before = largest.get(effect.behaviour, effect.ablation_removes)
                largest[effect.behaviour] = max(before, effect.ablation_removes)
    return largest
