"""Both implementations on the same data from the same weights."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from deploy.bench.train.naive import Naive, NaiveRun
from dfc.crosscoder.config import DfcConfig, config_of
from dfc.crosscoder.loss import Variance
from dfc.crosscoder.model import Dfc
from dfc.crosscoder.training_run import TrainingRun

EXCLUSIVE = 0.05
"""Share of the latents that each model has alone, as in the paper."""
NEVER = 10**9
"""Tokens after which a latent counts as dead where AuxK is to stay idle."""


class Size(NamedTuple):
    """What is trained: both models have states of the width ``d``."""

    d: int
    latents: int
    k: int
    batch: int = 2048

    @property
    def parameters(self) -> int:
        """Of the encoders and decoders of both models, as the naive implementation holds them."""
        return 4 * self.latents * self.d

    def config(self, steps: int, dead_after: int = NEVER) -> DfcConfig:
        """Of the paper's form; k is what it is from the first step on."""
        exclusive = round(EXCLUSIVE * self.latents)
        settings = {
            "shared": self.latents - 2 * exclusive,
            "base_exclusive": exclusive,
            "candidate_exclusive": exclusive,
            "k": self.k,
            "k_initial_factor": 1,
            "steps": steps,
            "batch": self.batch,
            "dead_after": dead_after,
            "learning_rate": 1e-3,
        }
        return config_of("strict", settings)


class Data(NamedTuple):
    """Paired states ``[T, d]`` and their variances."""

    base_TD: Tensor
    candidate_TD: Tensor
    variance: Variance

    def batch(self, step: int, size: int) -> tuple[Tensor, Tensor]:
        """That of the step; the data are gone through in order, again and again."""
        start = step * size % (len(self.base_TD) - size + 1)
        part = slice(start, start + size)
        return self.base_TD[part], self.candidate_TD[part]


def made_up(size: Size, batches: int, seed: int) -> Data:
    """States that are sums of few directions out of as many as there are latents, and noise: codes
    are as sparse as on a model's states, and time does not depend on more than that."""
    generator = torch.Generator().manual_seed(seed)
    tokens, active = size.batch * batches, min(size.k, size.latents // 4)
    direction_FD = torch.randn(size.latents, size.d, generator=generator)
    parts = []
    for _ in range(2):
        parts.append(0.1 * torch.randn(tokens, size.d, generator=generator))
    for _ in range(active):
        which_T = torch.randint(size.latents, (tokens,), generator=generator)
        written_TD = direction_FD[which_T] * torch.rand(tokens, 1, generator=generator)
        parts = [part + written_TD for part in parts]
    base_TD, candidate_TD = (part / part.norm(dim=1).mean() * size.d**0.5 for part in parts)
    return Data(base_TD, candidate_TD, variance_of(base_TD, candidate_TD))


def variance_of(base_TD: Tensor, candidate_TD: Tensor) -> Variance:
    """Mean squared distances from the means, and the mean square of the difference."""

    def square(x_TD: Tensor) -> float:
        return x_TD.pow(2).sum(1).mean().item()

    base = square(base_TD - base_TD.mean(0))
    candidate = square(candidate_TD - candidate_TD.mean(0))
    return Variance(base, candidate, square(candidate_TD - base_TD))


class Pair(NamedTuple):
    """Both runs, before their first step."""

    ours: TrainingRun
    naive: NaiveRun


def start(size: Size, config: DfcConfig, seed: int) -> Pair:
    """Both with the same weights."""
    torch.manual_seed(seed)
    model = Dfc(config, size.d, size.d)
    return Pair(TrainingRun(model, config, seed), NaiveRun(Naive(model), config))
