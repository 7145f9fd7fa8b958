"""Tokens per second of both implementations, in turns, so that a busy minute strikes both."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from deploy.bench.train.floor import Floor, floor
from deploy.bench.train.pair import NEVER, Size, made_up, start

BATCHES = 4
"""Of made-up states, gone through again and again."""


class Effort(NamedTuple):
    """How often what is timed is repeated."""

    rounds: int = 7
    """One step of each in each round."""
    warm_up: int = 3
    """Rounds that are not counted."""


class Speed(NamedTuple):
    """At one size; seconds of one step are medians over the rounds."""

    size: Size
    aux_works: bool
    """Whether latents are dead, so that AuxK has something to do."""
    ours_seconds: float
    naive_seconds: float
    ratio_by_round: list[float]
    """The naive step's seconds over ours, round by round."""
    floor: Floor

    @property
    def ratio_naive(self) -> float:
        """How many times as fast as the naive implementation: the median over the rounds."""
        return median(self.ratio_by_round)

    @property
    def ratio_floor(self) -> float:
        """What the encoders' product alone takes, as a part of our step."""
        return self.floor.seconds / self.ours_seconds


def speed(
    size: Size, aux_works: bool, effort: Effort, progress: Callable[[], None] = lambda: None
) -> Speed:
    """Time steps of both on the same batches, from the same weights."""
    rounds = effort.warm_up + effort.rounds
    # With AuxK, all that has not fired in the first batch is dead from the second one on.
    config = size.config(rounds, dead_after=1 if aux_works else NEVER)
    data = made_up(size, BATCHES, seed=0)
    ours, naive = start(size, config, seed=0)
    times: list[tuple[float, float]] = []
    for step in range(rounds):
        batch = data.batch(step, size.batch)
        seconds = []
        for run in (ours, naive):
            begun = time.perf_counter()
            run.update(*batch, data.variance)
            seconds.append(time.perf_counter() - begun)
        times.append((seconds[0], seconds[1]))
        progress()
    counted = times[effort.warm_up :]
    return Speed(
        size,
        aux_works,
        median(one for one, _ in counted),
        median(other for _, other in counted),
        [other / one for one, other in counted],
        floor(size, effort.rounds),
    )
