"""How many features of one version are known again among those that were found elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from alerts.deciding.measured import CausalEvidence
from deploy.bench.likeness.found import Checked, Found
from dfc.crosscoder.train import TrainedDfc, train
from dfc.engines.engine import Progress
from dfc.screening.likeness import SAME, likeness
from dfc.screening.screen import Screening, screen
from workers.recognise import MOST


class Again(NamedTuple):
    """Features of a version, held against those that were found elsewhere."""

    version: str
    elsewhere: str
    nearest: list[float]
    """By feature, how like it is to the one there that is most like it; empty where there is
    none."""
    correlation: float | None
    """The highest correlation of the activations of any two, alone."""

    def known(self, bound: float = SAME) -> int:
        """How many are as like one of them as `bound` asks."""
        return sum(one >= bound for one in self.nearest)


class Shorter(NamedTuple):
    """What trainings of fewer steps from the same seeds find of the same features."""

    version: str
    steps: int
    seconds: float
    """Of training, all seeds."""
    nearest: list[float]
    """By feature that the first seed's whole training lists first by itself, how like it is to the
    one that is most like it among those that are new to the shorter."""
    new: int
    difference_unexplained: float
    """In the last batch of the first seed's training."""
    removed: dict[str, CausalEvidence]
    """By behaviour what the features of all seeds remove of its shift."""


def again(version: Checked, found: Found, other: Found, elsewhere: str) -> Again:
    """Hold the listed features of `found` against those of `other`, on the states of the version's
    candidate: of each as many as the product keeps, those that explain most (the product keeps
    those whose ablation removes most)."""
    rows, columns = found.listed[:MOST], other.listed[:MOST]
    if not rows or not columns:
        return Again(version.name, elsewhere, [], None)
    alike = likeness(found.bank, rows, other.bank, version.states.candidate.x_TD)
    return Again(
        version=version.name,
        elsewhere=elsewhere,
        nearest=alike.agreement[:, columns].amax(1).tolist(),
        correlation=alike.correlation_RJ[:, columns].max().item(),
    )


def of_other_updates(versions: Sequence[Checked]) -> list[Again]:
    """The features of every version against those of every other that was read after the same
    block."""
    return [
        again(one, one.found[0], other.found[0], other.name)
        for one in versions
        for other in versions
        if one is not other and one.layer == other.layer
    ]


def of_other_seeds(versions: Sequence[Checked]) -> list[Again]:
    """The features of the first seed against those of every other on the same update."""
    return [
        again(one, one.found[0], other, f"seed {seed}")
        for one in versions
        for seed, other in enumerate(one.found[1:], 1)
    ]


FIRST = 64
"""Features that are looked for in a shorter training."""


def of_fewer_steps(
    version: Checked, part: float, steps: Callable[[int, int], None], steered: Progress
) -> Shorter:
    """Train for a part of the steps, on the same states from the same seeds, and steer what is
    found."""
    whole = version.crosscoders[0]
    config = whole.model.config
    count = round(config.steps * part)
    base_TD, candidate_TD = version.states.base.x_TD, version.states.candidate.x_TD
    begun = time.monotonic()
    shorter = [
        train(
            base_TD,
            candidate_TD,
            config.model_copy(update={"steps": count, "checkpoint_every": count}),
            seed=one.seed,
            moving_RD=version.moving_RD,
            weight_T=version.weight_T,
            progress=steps,
        )
        for one in version.crosscoders
    ]
    seconds = time.monotonic() - begun

    def screened(trained: Sequence[TrainedDfc]) -> Screening:
        return screen(trained, base_TD, candidate_TD, version.layer, version.screen)

    of_whole, of_shorter = screened([whole]), screened(shorter[:1])
    rows, columns = of_whole.candidate_listed[0][:FIRST], of_shorter.candidate_new[0]
    here, there = of_whole.banks["candidate"][0], of_shorter.banks["candidate"][0]
    nearest = list[float]()
    if rows and columns:
        alike_RJ = likeness(here, rows, there, candidate_TD).agreement
        nearest = alike_RJ[:, columns].amax(1).tolist()
    return Shorter(
        version=version.name,
        steps=count,
        seconds=seconds,
        nearest=nearest,
        new=len(columns),
        difference_unexplained=shorter[0].history[-1]["difference"],
        removed=version.shifts.removed(screened(shorter), steered),
    )
