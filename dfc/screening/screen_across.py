"""Screening where the two models have no common space: is an exclusive latent really new?

Two questions that the tied form answers by subtracting states. Does the other model carry the
latent after all (``cross_scaling``)? And does the other model's block hold its mirror, once the
directions of one model are mapped into the other?
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dfc.crosscoder.config import ScreenConfig
from dfc.crosscoder.model import Codes, ExclusiveBlock
from dfc.crosscoder.train import TrainedDfc
from dfc.screening.cross_scaling import BLOCK, CrossScaling, cross_scaling
from dfc.screening.exclusive_codes import ExclusiveCodes
from dfc.screening.judgement import Judgement
from dfc.screening.similarity import correlations, cosines
from dfc.screening.stitching import Stitch, direction_in_other
from dfc.sides import SideName

SAMPLE = 512
"""Blocks of neighbouring tokens on which the latents are judged, at most."""
CHUNK = 8192


class _States(NamedTuple):
    """A sample of normalised states, their codes, and what the crosscoder leaves of them."""

    base_TD: Tensor
    candidate_TD: Tensor
    code: Codes
    base_left_TD: Tensor
    candidate_left_TD: Tensor


def judge_strict(
    trained: TrainedDfc,
    codes: ExclusiveCodes,
    base_TD: Tensor,
    candidate_TD: Tensor,
    stitch: Stitch | None,
    config: ScreenConfig,
) -> dict[SideName, Judgement]:
    """Judge the exclusive latents of both models on raw, token-aligned activations ``[T, d]``.

    Without ``stitch`` nothing is known to be mirrored. A latent for which a ratio can't be measured
    is not called new.
    """
    model = trained.model
    if model.config.form == "tied":
        raise ValueError("the crosscoder is tied: judge its latents by the difference of states")
    sample_N = _sample(len(base_TD))
    states = _encode(trained, base_TD[sample_N], candidate_TD[sample_N])
    alike_KJ = torch.zeros(len(model.candidate.decoder), len(model.base.decoder), dtype=torch.bool)
    if stitch is not None:
        alike_KJ = _mirrors(trained, codes, stitch, config)
    return {
        "candidate": _judged(
            (states.candidate_TD, states.base_TD, states.base_left_TD),
            states.code.candidate_BF,
            model.candidate,
            alike_KJ.any(1),
            config,
        ),
        "base": _judged(
            (states.base_TD, states.candidate_TD, states.candidate_left_TD),
            states.code.base_BF,
            model.base,
            alike_KJ.any(0),
            config,
        ),
    }


@torch.no_grad()
def written_energy(block: ExclusiveBlock, code_TK: Tensor) -> Tensor:
    """Mean square of what each latent writes, in normalised units."""
    return code_TK.pow(2).mean(0) * block.decoder.pow(2).sum(1)


def _mirrors(
    trained: TrainedDfc, codes: ExclusiveCodes, stitch: Stitch, config: ScreenConfig
) -> Tensor:
    """Pairs ``[K, J]`` that write the same direction at the same tokens."""
    # The scales of the normalisation change no direction.
    mapped = direction_in_other(stitch, trained.model.candidate.decoder.detach(), "candidate")
    return (
        cosines(mapped.direction_KD, trained.model.base.decoder.detach()) > config.stitched_cosine
    ) & (correlations(codes.candidate_TK, codes.base_TK) > config.mirror_correlation)


def is_new(found: CrossScaling, config: ScreenConfig) -> Tensor:
    """Which latents ``[K]`` the other model carries too little of to be called shared.

    What could not be measured is not new. There is no allowance for what it carries of the shared
    latents: that is nearly all of them, and tells nothing of one that is missing.
    """
    within_K = (found.error_K <= config.carried_error) & (found.readout_K <= config.carried_readout)
    return within_K & found.error_K.isfinite() & found.readout_K.isfinite()


def _judged(
    states: tuple[Tensor, Tensor, Tensor],
    code_TK: Tensor,
    block: ExclusiveBlock,
    mirrored_K: Tensor,
    config: ScreenConfig,
) -> Judgement:
    """``states`` are the own model's, the other's, and what is left of the other's."""
    found = cross_scaling(code_TK, *states, block.decoder.detach())
    weight_K = written_energy(block, code_TK) / states[0].pow(2).sum(1).mean()
    return Judgement(weight_K, None, _exclusivity(found), is_new(found, config), mirrored_K)


def _exclusivity(found: CrossScaling) -> Tensor:
    most_K = torch.maximum(found.error_K, found.readout_K)
    return torch.where(most_K.isfinite(), (1 - most_K).clamp(0, 1), torch.nan)


def _sample(tokens: int) -> Tensor:
    """Whole blocks, evenly over all tokens."""
    blocks = max(1, tokens // BLOCK)
    kept = torch.linspace(0, blocks - 1, min(blocks, SAMPLE)).long()
    lines_NB = kept[:, None] * BLOCK + torch.arange(BLOCK)
    return lines_NB.flatten()[lines_NB.flatten() < tokens]


@torch.no_grad()
def _encode(trained: TrainedDfc, base_TD: Tensor, candidate_TD: Tensor) -> _States:
    model, norm = trained.model, trained.normalisation
    parts = []
    for base, candidate in zip(base_TD.split(CHUNK), candidate_TD.split(CHUNK), strict=True):
        base_ND, candidate_ND = norm.base(base), norm.candidate(candidate)
        code = model.select(model.encode(base_ND, candidate_ND))
        out = model.decode(code)
        left = (base_ND - out.base_BD, candidate_ND - out.candidate_BD)
        parts.append((base_ND, candidate_ND, *code, *left))
    base_ND, candidate_ND, *rest = (torch.cat(part) for part in zip(*parts, strict=True))
    return _States(base_ND, candidate_ND, Codes(*rest[:3]), rest[3], rest[4])
