"""What screening says of exclusive latents besides where they fire, for checkpoints of one
architecture."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dfc.crosscoder.config import ScreenConfig
from dfc.crosscoder.train import TrainedDfc
from dfc.screening.exclusive_codes import ExclusiveCodes, SideSums
from dfc.screening.latent_scaling import exclusivity
from dfc.screening.similarity import correlations, cosines
from dfc.sides import SideName


class Judgement(NamedTuple):
    """The exclusive latents ``[K]`` of one model."""

    weight_K: Tensor
    """By which they are ordered: the share of energy that they take from the difference, within the
    moving directions if there are such; in the strict form the share that they write of their own
    model's."""
    delta_energy_K: Tensor | None
    """None where states can't be subtracted."""
    exclusivity_K: Tensor | None
    """1 = the other model does not carry it, 0 = as much; NaN where it can't be measured."""
    is_new_K: Tensor
    """The other model does not carry it, as far as that was measured."""
    mirrored_K: Tensor
    """The other block holds a latent that writes the same direction at the same tokens."""


def judge_tied(
    trained: TrainedDfc, codes: ExclusiveCodes, config: ScreenConfig
) -> dict[SideName, Judgement]:
    """By subtracting the states of one model from those of the other."""
    alike_KJ = (
        cosines(trained.model.candidate.decoder.detach(), trained.model.base.decoder.detach())
        > config.mirror_cosine
    ) & (correlations(codes.candidate_TK, codes.base_TK) > config.mirror_correlation)
    return {
        "candidate": _judged(codes, codes.candidate, alike_KJ.any(1), config),
        "base": _judged(codes, codes.base, alike_KJ.any(0), config),
    }


def _judged(
    codes: ExclusiveCodes, sums: SideSums | None, mirrored_K: Tensor, config: ScreenConfig
) -> Judgement:
    if sums is None or not codes.difference_energy:
        nothing_K = torch.zeros(len(mirrored_K))
        return Judgement(nothing_K, None, None, nothing_K == 0, nothing_K > 0)
    energy_K, exclusivity_K = sums.gain_K / codes.difference_energy, exclusivity(sums)
    is_new_K = exclusivity_K >= config.exclusivity
    weight_K = sums.moving_K / codes.moving_energy if codes.moving_energy else energy_K
    return Judgement(weight_K, energy_K, exclusivity_K, is_new_K, mirrored_K)
