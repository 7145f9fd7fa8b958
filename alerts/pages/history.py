"""The versions of a line one after the other: what was found in each, and what became of it."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from alerts.records.behaviour import Behaviour
from alerts.verdict import Verdict

Against = Literal["trusted", "anchor"]

DRAWN = 6
"""Behaviours that are drawn at most."""


class Release(NamedTuple):
    """A version of a line as it was compared with one base."""

    name: str
    published_at: float
    """Seconds since the epoch."""
    state: str
    """What is decided about it, as `monitor.database.schema.Trust`."""
    base: str
    against: Against
    verdict: Verdict

    def behaviour(self, name: str) -> Behaviour | None:
        """What was measured of the behaviour `name`; None where nothing was."""
        return next((b for b in self.verdict.behaviours if b.name == name), None)

    def features(self, side: str) -> int:
        """Short-listed features that only the model `side` has."""
        return sum(feature.side == side for feature in self.verdict.features)

    @property
    def steered_most(self) -> float | None:
        """Largest part of a shift that ablating one feature removes, if any was."""
        removed = [
            effect.ablation_removes
            for feature in self.verdict.features
            for effect in feature.effects
            if effect.ablation_removes is not None
        ]
        return max(removed, default=None)


def names_of(releases: Sequence[Release]) -> dict[str, str]:
    """By the digest of each version its name, in their order: two contents may share a name."""
    return {release.verdict.candidate.digest: release.name for release in releases}


def moving_behaviours(releases: Sequence[Release]) -> list[str]:
    """The behaviours worth drawing: those that left their noise floor most, in any version."""
    furthest: dict[str, float] = {}
    for behaviour in (b for release in releases for b in release.verdict.behaviours):
        if behaviour.shift is not None and behaviour.noise_floor is not None:
            shift, floor = abs(behaviour.shift), behaviour.noise_floor
            ratio = shift / floor if floor else math.inf if shift else 0.0
            furthest[behaviour.name] = max(ratio, furthest.get(behaviour.name, 0.0))
    beyond = [name for name, ratio in furthest.items() if ratio > 1.0]
    return sorted(beyond, key=lambda name: -furthest[name])[:DRAWN]


def all_measured(releases: Sequence[Release]) -> bool:
    """Whether in every version every behaviour has a shift and a noise floor, and there are any."""
    measured = [release.verdict.behaviours for release in releases]
    return all(measured) and all(
        b.shift is not None and b.noise_floor is not None for one in measured for b in one
    )
