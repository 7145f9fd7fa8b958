"""The nulls of one score, kept apart by where they come from, and what they ask of a candidate.

Copies that differ in numerical noise alone and releases that were trained on answer different
questions, and there are many of the one and few of the other. In one pool the copies would drown
the releases: a candidate that stands among the releases would look unusual beside the copies. So
it is judged by each source alone, and the more cautious answer counts.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from alerts.deciding.conformal import conformal_p, conformal_threshold, smallest_p
from alerts.deciding.noise import noise_floor
from alerts.records.behaviour import NullSource
from alerts.records.record import Natural, Record

NullKind = Literal["identical", "perturbed", "rounded", "release"]

_SOURCES: Mapping[NullKind, NullSource] = {
    "perturbed": "copies",
    "rounded": "copies",
    "release": "releases",
}
"""Identical weights only prove that the measurement repeats itself: counted, they would make any
candidate look unusual."""


LEAST_RELEASES = 5
"""From so many on the spread of releases says how far the next one will reach."""


class Null(Record):
    """The score of one pair of models between which nothing that matters has changed."""

    kind: NullKind
    of: str
    """Which copy or release, for a person to read."""
    score: float
    """As in a verdict: of a behaviour the shift, in nats per token."""


class Place(NamedTuple):
    """How unusual a score is among the nulls of one source."""

    p: float
    source: NullSource
    n: int
    """Nulls of that source: p is at least 1 / (n + 1)."""


class ScoreNulls(Record):
    """The nulls of one score, and what they ask of a candidate's."""

    made_of: str
    """Digest of what the score depends on besides the models: of a behaviour its suite and the
    code that scores it."""
    nulls: list[Null]
    noise_floor: Natural | None
    """Largest size of a copy's score."""
    threshold: float | None
    """A flagged score exceeds it; None where there are no nulls."""
    threshold_source: NullSource | None
    """Which nulls ask for so much."""
    release_limit: float | None = None
    """One more accepted release stays below it; never below the threshold. None where fewer than
    LEAST_RELEASES tell. It only makes a line more sensitive: what a flagged shift has to exceed is
    the threshold, else one release that fell far would hide what rises."""
    reseeding: Natural | None
    """Part of half an interval's width by which another seed moves its lower end."""

    def of(self, source: NullSource) -> list[float]:
        """The scores of the nulls of one source."""
        return [null.score for null in self.nulls if _SOURCES.get(null.kind) == source]

    @property
    def counted(self) -> list[float]:
        """The scores of all nulls that count."""
        return [null.score for null in self.nulls if null.kind in _SOURCES]

    def place(self, score: float | None) -> Place | None:
        """The largest p of `score` over the sources; None without a score or without nulls.

        A candidate that is exchangeable with the nulls of either source has P(p <= a) <= a.
        """
        places = (
            Place(p, source, len(nulls))
            for source in get_args(NullSource)
            if (p := conformal_p(score, nulls := self.of(source))) is not None
        )
        return max(places, key=lambda place: place.p, default=None)

    @property
    def least_p(self) -> float | None:
        """The smallest p that any score can get here. None without nulls."""
        least = (smallest_p(len(self.of(source))) for source in get_args(NullSource))
        return max((p for p in least if p is not None), default=None)


def score_nulls(
    made_of: str,
    nulls: Sequence[Null],
    alpha: float,
    reseeding: float | None,
    release_limit: float | None = None,
) -> ScoreNulls:
    """The nulls of one score with their floor, and the threshold.

    That is the larger of the floor, which is never below the copies' `conformal_threshold`, and
    the releases' `conformal_threshold`. `release_limit` is theirs by `prediction_limits`.
    """
    found = ScoreNulls(
        made_of=made_of,
        nulls=list(nulls),
        noise_floor=None,
        threshold=None,
        threshold_source=None,
        reseeding=reseeding,
    )
    copies = found.of("copies")
    floor = noise_floor(copies).floor if copies else None
    limits: list[tuple[float | None, NullSource]] = [
        (floor, "copies"),
        (conformal_threshold(found.of("releases"), alpha), "releases"),
    ]
    known = [(limit, source) for limit, source in limits if limit is not None]
    threshold, source = max(known, key=lambda one: one[0], default=(None, None))
    if release_limit is None or threshold is None or len(found.of("releases")) < LEAST_RELEASES:
        limit = None
    else:
        limit = max(release_limit, threshold)
    return found.model_copy(
        update={
            "noise_floor": floor,
            "threshold": threshold,
            "threshold_source": source,
            "release_limit": limit,
        }
    )
