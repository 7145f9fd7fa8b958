"""Readings of the newest candidate of each line: its shifts, its features, what steering did."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.verdict import Feature, Verdict
from monitor.database.schema import Diff, Line, Version
from monitor.lineage.history import anchor_of, verdicts_on
from monitor.metrics.reading import Reading
from monitor.settings import Settings


def read_verdicts(session: Session, settings: Settings) -> Iterator[Reading]:
    """The verdicts on the version of each line that was registered last among those that have one.

    One per base: the trusted version, and the anchor where the settings name one.
    """
    for line in session.scalars(select(Line).order_by(Line.name)).all():
        newest = session.scalar(
            select(Version.content_digest)
            .join(Diff, Diff.candidate_digest == Version.content_digest)
            .where(Version.line_id == line.id, Diff.line_id == line.id, Diff.verdict.is_not(None))
            .order_by(Version.id.desc())
            .limit(1)
        )
        if newest is None:
            continue
        try:
            found = verdicts_on(session, line, newest, anchor_of(settings, line.name))
        except ValueError:  # `Unreadable` counts it, and the other lines are read
            continue
        for against, (_, verdict) in found.items():
            yield from _behaviours(line.name, against, verdict)
            yield from _features(line.name, against, verdict)


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
