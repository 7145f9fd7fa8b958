"""From exclusive latents to a short list: which are alive, new, not mirrored and found by every
seed.

The cascade of dfc.md 6.2 as far as it needs no steering. Nothing here uses a probe suite, so
the list cannot be tuned to a behaviour that somebody thought of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dfc.config import ScreenConfig
from dfc.engine import FeatureBank
from dfc.exclusive_codes import ExclusiveCodes, exclusive_codes
from dfc.latent_scaling import exclusivity
from dfc.model import BASE, CANDIDATE, ExclusiveBlock
from dfc.similarity import correlations, cosines, partner_similarity
from dfc.train import TrainedDfc

Side = Literal["candidate", "base"]


class Feature(NamedTuple):
    """One exclusive latent of the first seed as screening sees it; None = not measurable."""

    id: str
    """For example "candidate-3"."""

    side: Side
    row: int
    """Row in its block and in its side's bank."""

    density: float
    """Share of corpus positions on which it fires."""

    delta_energy: float | None
    """Share of the energy of candidate minus base that its contribution removes (tied form
    only)."""

    exclusivity: float | None
    """1 = the other model does not carry it at all, 0 = as much (see ``latent_scaling``)."""
    seed_agreement: float | None
    """Over the other seeds, the least similarity of its best partner; None with one seed."""

    mirrored: bool
    listed: bool
    """Alive, not mirrored, not carried by the other model and found again by every other seed."""


class Screening(NamedTuple):
    """Features ordered by delta energy, and one bank per seed and side to steer with."""

    features: list[Feature]
    banks: dict[Side, list[FeatureBank]]
    codes: dict[Side, Tensor]
    """First seed's activations ``[T, K]`` over the corpus, for descriptions."""
    candidate_order: list[list[int]]
    """Per seed the rows of the candidate's bank that are alive, most important first."""


def screen(
    trained: Sequence[TrainedDfc],
    base_TD: Tensor,
    candidate_TD: Tensor,
    layer: int,
    config: ScreenConfig,
) -> Screening:
    """Screen the exclusive latents of ``trained[0]``; the other seeds vote.

    Activations are raw and token-aligned, ``[T, d]``, harvested after block ``layer``.
    """
    seeds = [exclusive_codes(one, base_TD, candidate_TD) for one in trained]
    features = [
        *_features("candidate", trained, seeds, config),
        *_features("base", trained, seeds, config),
    ]
    features.sort(key=lambda feature: feature.delta_energy or 0.0, reverse=True)
    banks: dict[Side, list[FeatureBank]] = {"candidate": [], "base": []}
    for one, codes in zip(trained, seeds, strict=True):
        banks["candidate"].append(feature_bank(one, "candidate", codes.candidate_TK, layer))
        banks["base"].append(feature_bank(one, "base", codes.base_TK, layer))
    return Screening(
        features,
        banks,
        {"candidate": seeds[0].candidate_TK, "base": seeds[0].base_TK},
        [_candidate_order(codes, config.minimum_density) for codes in seeds],
    )


@torch.no_grad()
def feature_bank(trained: TrainedDfc, side: Side, code_TK: Tensor, layer: int) -> FeatureBank:
    """The exclusive block of one side in raw residual units, the normalisation folded in.

    With x' = (x - mean) / scale: encoder / scale, bias - encoder mean / scale, decoder * scale. A
    latent fires when f |w| reaches the running threshold, so its own threshold is that over |w|.
    """
    norm, block = trained.normalisation, _block(trained, side)
    mean_D = norm.candidate_mean_D if side == "candidate" else norm.base_mean_D
    scale = norm.candidate_scale if side == "candidate" else norm.base_scale
    threshold = trained.model.threshold[CANDIDATE if side == "candidate" else BASE]
    encoder_KD = block.encoder.detach() / scale
    return FeatureBank(
        layer=layer,
        encoder_KD=encoder_KD,
        bias_K=block.bias.detach() - encoder_KD @ mean_D,
        threshold_K=threshold / block.decoder.norm(dim=1),
        decoder_KD=block.decoder.detach() * scale,
        unit_K=natural_maximum(code_TK),
    )


def natural_maximum(code_TK: Tensor) -> Tensor:
    """99.9th percentile of every latent's non-zero activations; zero for one that never
    fires."""
    columns = (column[column > 0] for column in code_TK.T)
    return torch.stack(
        [column.float().quantile(0.999) if len(column) else torch.zeros(()) for column in columns]
    )


def _candidate_order(codes: ExclusiveCodes, minimum_density: float) -> list[int]:
    """By delta energy; in the strict form, which has none, by mean activation."""
    alive_K = (codes.candidate_TK > 0).float().mean(0) >= minimum_density
    sums = codes.candidate
    weight_K = codes.candidate_TK.mean(0) if sums is None else sums.gain_K
    return [row for row in weight_K.argsort(descending=True).tolist() if alive_K[row]]


def _features(
    side: Side, trained: Sequence[TrainedDfc], seeds: Sequence[ExclusiveCodes], config: ScreenConfig
) -> list[Feature]:
    codes = seeds[0]
    code_TK, sums = (
        (codes.candidate_TK, codes.candidate)
        if side == "candidate"
        else (codes.base_TK, codes.base)
    )
    decoder_KD = _block(trained[0], side).decoder.detach()
    agreements = [
        partner_similarity(
            decoder_KD,
            code_TK,
            _block(other, side).decoder.detach(),
            found.candidate_TK if side == "candidate" else found.base_TK,
        )
        for other, found in zip(trained[1:], seeds[1:], strict=True)
    ]
    agreement_K = torch.stack(agreements).min(0).values if agreements else None
    density_K = (code_TK > 0).float().mean(0)
    energy_K = exclusive_K = mirrored_K = None
    if sums is not None and codes.difference_energy:
        energy_K = sums.gain_K / codes.difference_energy
        exclusive_K = exclusivity(sums)
        mirrored_K = _mirrored(trained[0], codes, side, config)
    features = []
    for k in range(len(decoder_KD)):
        alive = density_K[k].item() >= config.minimum_density
        agreement = None if agreement_K is None else agreement_K[k].item()
        mirrored = mirrored_K is not None and bool(mirrored_K[k])
        exclusive = exclusive_K[k].item() if exclusive_K is not None and alive else None
        features.append(
            Feature(
                id=f"{side}-{k}",
                side=side,
                row=k,
                density=density_K[k].item(),
                delta_energy=None if energy_K is None else energy_K[k].item(),
                exclusivity=exclusive,
                seed_agreement=agreement,
                mirrored=mirrored,
                listed=alive
                and not mirrored
                and (exclusive is None or exclusive >= config.exclusivity)
                and (agreement is None or agreement >= config.seed_agreement),
            )
        )
    return features


def _mirrored(
    trained: TrainedDfc, codes: ExclusiveCodes, side: Side, config: ScreenConfig
) -> Tensor:
    """Whether a latent ``[K]`` of the other block writes the same direction at the same tokens."""
    candidate_KD, base_JD = trained.model.candidate.decoder, trained.model.base.decoder
    alike_KJ = (cosines(candidate_KD, base_JD) > config.mirror_cosine) & (
        correlations(codes.candidate_TK, codes.base_TK) > config.mirror_correlation
    )
    return alike_KJ.any(1 if side == "candidate" else 0)


def _block(trained: TrainedDfc, side: Side) -> ExclusiveBlock:
    return trained.model.candidate if side == "candidate" else trained.model.base
