"""Do both implementations learn the same? On toys, where the true concepts are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from deploy.bench.toy.features import recalled, written_rows
from deploy.bench.toy.universe import Scale, Universe, draw_sample, draw_universe
from deploy.bench.train.pair import Data, Size, start, variance_of
from dfc.crosscoder.model import Codes, Dfc
from dfc.crosscoder.normalisation import fit_normalisation

HELD_OUT = 20_000


class Course(NamedTuple):
    """How long both are trained, on what."""

    scale: Scale = Scale()
    batch: int = 512
    steps: int = 1500
    tokens: int = 60_000
    dead_after: int = 20_000
    """Low enough that AuxK works in both."""

    @property
    def size(self) -> Size:
        """As many latents as half of the concepts, which is where the toy's summary looks."""
        k = max(1, round(self.scale.active))
        return Size(self.scale.width, self.scale.concepts // 2, k, self.batch)


class Learned(NamedTuple):
    """What one implementation has learned."""

    variance_explained: float
    """Mean of both models, on samples that it was not trained on."""
    recovered: float
    """Share of all concepts of the base that some latent recovers."""


class Quality(NamedTuple):
    """Both on one toy."""

    seed: int
    ours: Learned
    naive: Learned


def quality(course: Course, seed: int, progress: Callable[[], None] = lambda: None) -> Quality:
    """Train both on one drawn toy, at equal tokens, from equal weights, on equal batches."""
    universe = draw_universe(course.scale, seed)
    data, held_out = (_normalised(universe, course, seed, part) for part in range(2))
    size = course.size
    ours, naive = start(size, size.config(course.steps, course.dead_after), seed)
    for step in range(course.steps):
        base_BD, candidate_BD = data.batch(step, course.batch)
        ours.update(base_BD, candidate_BD, data.variance)
        naive.update(base_BD, candidate_BD, data.variance)
        progress()
    as_ours = Dfc(ours.config, size.d, size.d)
    naive.model.write_to(as_ours)
    return Quality(seed, *(_learned(model, held_out, universe) for model in (ours.model, as_ours)))


def _normalised(universe: Universe, course: Course, seed: int, part: int) -> Data:
    tokens = HELD_OUT if part else course.tokens
    drawn = draw_sample(universe, tokens, seed, part)
    norm = fit_normalisation(drawn.base_TD, drawn.candidate_TD, same_architecture=False)
    base_TD, candidate_TD = norm.base(drawn.base_TD), norm.candidate(drawn.candidate_TD)
    return Data(base_TD, candidate_TD, variance_of(base_TD, candidate_TD))


@torch.no_grad()
def _learned(model: Dfc, held_out: Data, universe: Universe) -> Learned:
    """By the threshold of the samples themselves: the naive implementation keeps no other."""
    code = model.encode(held_out.base_TD, held_out.candidate_TD)
    kept: Codes = model.select(code, model.batch_thresholds(model.score(code), model.config.k))
    out = model.decode(kept)

    def explained(x_TD: Tensor, out_TD: Tensor, variance: float) -> float:
        return 1 - (x_TD - out_TD).pow(2).sum(1).mean().item() / variance

    variance = held_out.variance
    base = explained(held_out.base_TD, out.base_BD, variance.base)
    candidate = explained(held_out.candidate_TD, out.candidate_BD, variance.candidate)
    own_CD = torch.cat([universe.base_CD[universe.base_only], universe.base_CD[universe.shared]])
    recovered = recalled(written_rows(model).base_BD, own_CD) or 0.0
    return Learned((base + candidate) / 2, recovered)
