"""The toy of Jiralerspong & Bricken 2026 (arXiv 2602.11729, section 2.3 and appendix B.2).

Two models are sums of concepts. Most concepts are in both, in different directions; some are in
one of them alone, and those a crosscoder must find.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

RANK = 10
DECAY = 2.048
"""The likeliest concept is e^2 times as likely as the rarest, the sigmoid aside: the paper's 0.001
per concept times its 2048 concepts, so that a smaller toy has the same spread."""

LEAST_PROBABILITY = 1e-4
OFFSET = 0.1
NOISE = 0.01
CHUNK = 8192


class Scale(NamedTuple):
    """How large a toy is. The paper's is 2048 concepts in 256 dimensions with 2.5 % exclusive to
    each model; the least that keeps its ratio of concepts to dimensions and enough exclusive
    concepts to count is a quarter of that with 5 % each."""

    concepts: int = 512
    width: int = 64
    exclusive: float = 0.05
    """Share of the concepts that each of the two models has alone."""

    same_space: bool = False
    """Whether a concept has the same direction in both models, as in two checkpoints of one."""

    @property
    def exclusive_concepts(self) -> int:
        """Concepts that each of the two models has alone."""
        return round(self.concepts * self.exclusive)

    @property
    def active(self) -> float:
        """Concepts per sample on average: n/100, the paper's table."""
        return self.concepts / 100


class Universe(NamedTuple):
    """One drawn toy. Rows are concepts: first the base's own, then the candidate's own, then the
    shared ones."""

    scale: Scale
    base_CD: Tensor
    candidate_CD: Tensor
    probability_C: Tensor
    """How often each concept is active."""

    @property
    def base_only(self) -> slice:
        return slice(0, self.scale.exclusive_concepts)

    @property
    def candidate_only(self) -> slice:
        return slice(self.scale.exclusive_concepts, 2 * self.scale.exclusive_concepts)

    @property
    def shared(self) -> slice:
        return slice(2 * self.scale.exclusive_concepts, self.scale.concepts)


class Sample(NamedTuple):
    """Paired activations ``[T, d]`` and which concepts are in them ``[T, C]``."""

    base_TD: Tensor
    candidate_TD: Tensor
    active_TC: Tensor


def draw_universe(scale: Scale, seed: int) -> Universe:
    """Concepts are random unit vectors in the base; the candidate's are a random affine map of
    them, scaled to the same median norm."""
    generator = _stream(seed, 0)
    base_CD = normalize(torch.randn(scale.concepts, scale.width, generator=generator))
    candidate_CD = base_CD
    if not scale.same_space:
        map_DD = 0.5 * torch.randn(scale.width, scale.width, generator=generator)
        offset_D = OFFSET * torch.randn(scale.width, generator=generator)
        mapped_CD = base_CD @ map_DD.T + offset_D
        candidate_CD = mapped_CD / mapped_CD.norm(dim=1).median()
    return Universe(scale, base_CD, candidate_CD, _probabilities(scale, generator))


def _stream(seed: int, purpose: int) -> torch.Generator:
    """Random numbers of their own for every purpose. With the plain seed, a crosscoder that is
    trained with it would start from the very numbers that the concepts are made of."""
    state = np.random.SeedSequence((seed, purpose)).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))


def _probabilities(scale: Scale, generator: torch.Generator) -> Tensor:
    """A decayed sigmoid of one Gaussian draw of covariance L L^T + I, scaled to sum to the mean
    number of active concepts."""
    loading_CR = torch.randn(scale.concepts, RANK, generator=generator) * (0.5 / RANK**0.5)
    latent_C = loading_CR @ torch.randn(RANK, generator=generator)
    latent_C += torch.randn(scale.concepts, generator=generator)
    rank_C = torch.randperm(scale.concepts, generator=generator) / scale.concepts
    p_C = latent_C.sigmoid() * torch.exp(-DECAY * rank_C)
    return (p_C * scale.active / p_C.sum()).clamp_min(LEAST_PROBABILITY)


def draw_sample(universe: Universe, tokens: int, seed: int, part: int = 0) -> Sample:
    """Token-aligned samples: z_i ~ Bernoulli(p_i) times s_i ~ U(0, 1), and noise in each model.

    Parts of one seed are independent.

    A sample without any concept gets the likeliest one.
    """
    generator = _stream(seed, 1 + part)
    chunks = [
        _chunk(universe, min(CHUNK, tokens - start), generator) for start in range(0, tokens, CHUNK)
    ]
    return Sample(*(torch.cat(parts) for parts in zip(*chunks, strict=True)))


def _chunk(universe: Universe, tokens: int, generator: torch.Generator) -> Sample:
    scale = universe.scale
    active_TC = torch.rand(tokens, scale.concepts, generator=generator) < universe.probability_C
    active_TC[~active_TC.any(1), universe.probability_C.argmax()] = True
    code_TC = active_TC * torch.rand(tokens, scale.concepts, generator=generator)

    def states(concept_CD: Tensor, absent: slice) -> Tensor:
        seen_TC = code_TC.clone()
        seen_TC[:, absent] = 0
        noise_TD = NOISE * torch.randn(tokens, scale.width, generator=generator)
        return seen_TC @ concept_CD + noise_TD

    base_TD = states(universe.base_CD, universe.candidate_only)
    candidate_TD = states(universe.candidate_CD, universe.base_only)
    return Sample(base_TD, candidate_TD, active_TC)
