"""From exclusive latents to a short list: which are alive, new, not mirrored and found by every
seed.

Nothing here steers, and nothing asks a probe suite. Behaviours that have shifted enter by the
training and the order alone, through the moving directions (``dfc.locating.attribution``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.crosscoder.config import ScreenConfig
from dfc.crosscoder.model import BASE, CANDIDATE, ExclusiveBlock
from dfc.crosscoder.train import TrainedDfc
from dfc.engines.engine import FeatureBank
from dfc.screening.exclusive_codes import ExclusiveCodes, exclusive_codes
from dfc.screening.judgement import Judgement, judge_tied
from dfc.screening.screen_across import judge_strict
from dfc.screening.similarity import partner_similarity
from dfc.screening.stitching import Stitch
from dfc.sides import SideName


class Feature(NamedTuple):
    """One exclusive latent of the first seed as screening sees it; None = not measurable."""

    id: str
    """For example "candidate-3"."""

    side: SideName
    row: int
    """Row in its block and in its side's bank."""

    density: float
    """Share of corpus positions on which it fires."""

    delta_energy: float | None
    """Share of the energy of candidate minus base that its contribution removes (tied form
    only)."""

    exclusivity: float | None
    """1 = the other model does not carry it at all, 0 = as much (see ``latent_scaling``, in the
    strict form ``cross_scaling``)."""
    seed_agreement: float | None
    """Over the other seeds, the least similarity of its best partner; None with one seed."""

    mirrored: bool
    new: bool
    """Alive, not mirrored, and not carried by the other model."""

    listed: bool
    """New, and found again by every other seed."""


class Screening(NamedTuple):
    """Features ordered by their weight (`Judgement`), and one bank per seed and side to steer
    with."""

    features: list[Feature]
    banks: dict[SideName, list[FeatureBank]]
    candidate_new: list[list[int]]
    """Per seed the rows of the candidate's bank that are new."""

    candidate_change: list[list[int]]
    """Per seed the rows that make up the change: in the tied form, whose block explains candidate
    minus base as a whole, all that are alive and not mirrored; else those that are new."""

    candidate_listed: list[list[int]]
    """Those of the new ones that the other seeds have found too, most important first."""


def screen(
    trained: Sequence[TrainedDfc],
    base_TD: Tensor,
    candidate_TD: Tensor,
    layer: int,
    config: ScreenConfig,
    *,
    base_layer: int | None = None,
    stitch: Stitch | None = None,
) -> Screening:
    """Screen the exclusive latents of every seed, those of ``trained[0]`` for the short list; the
    other seeds vote.

    Activations are raw and token-aligned, ``[T, d]``, harvested after block ``layer`` of the
    candidate and ``base_layer`` (the same unless given) of the base. ``stitch`` is for the strict
    form; without it nothing is known there to be mirrored.
    """
    seeds = [exclusive_codes(one, base_TD, candidate_TD) for one in trained]
    judged = [
        judge_tied(one, codes, config)
        if one.model.config.form == "tied"
        else judge_strict(one, codes, base_TD, candidate_TD, stitch, config)
        for one, codes in zip(trained, seeds, strict=True)
    ]

    def features(side: SideName, seed_index: int) -> list[_Weighed]:
        # The screened seed first, then those that vote.
        order = sorted(range(len(trained)), key=lambda n: n != seed_index)
        found, codes = [trained[n] for n in order], [seeds[n] for n in order]
        return _features(side, found, codes, judged[seed_index][side], config)

    candidates = [_ordered(features("candidate", n)) for n in range(len(trained))]
    banks: dict[SideName, list[FeatureBank]] = {"candidate": [], "base": []}
    for one, codes in zip(trained, seeds, strict=True):
        banks["candidate"].append(feature_bank(one, "candidate", codes.candidate_TK, layer))
        banks["base"].append(
            feature_bank(one, "base", codes.base_TK, layer if base_layer is None else base_layer)
        )
    return Screening(
        [one.feature for one in _ordered([*candidates[0], *features("base", 0)])],
        banks,
        [[one.feature.row for one in found if one.feature.new] for found in candidates],
        [
            [one.feature.row for one in found if _in_change(one.feature, seed, config)]
            for seed, found in zip(trained, candidates, strict=True)
        ],
        [[one.feature.row for one in found if one.feature.listed] for found in candidates],
    )


@torch.no_grad()
def feature_bank(trained: TrainedDfc, side: SideName, code_TK: Tensor, layer: int) -> FeatureBank:
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


class _Weighed(NamedTuple):
    weight: float
    feature: Feature


def _ordered(found: list[_Weighed]) -> list[_Weighed]:
    return sorted(found, key=lambda one: one.weight, reverse=True)


def _features(
    side: SideName,
    trained: Sequence[TrainedDfc],
    seeds: Sequence[ExclusiveCodes],
    judged: Judgement,
    config: ScreenConfig,
) -> list[_Weighed]:
    """Those of ``trained[0]``, each with its weight."""
    code_TK = _codes(seeds[0], side)
    decoder_KD = _block(trained[0], side).decoder.detach()
    agreements = [
        partner_similarity(
            decoder_KD, code_TK, _block(other, side).decoder.detach(), _codes(found, side)
        )
        for other, found in zip(trained[1:], seeds[1:], strict=True)
    ]
    agreement_K = torch.stack(agreements).min(0).values if agreements else None
    density_K = (code_TK > 0).float().mean(0)
    features = []
    for k in range(len(decoder_KD)):
        alive = density_K[k].item() >= config.minimum_density
        agreement = None if agreement_K is None else agreement_K[k].item()
        mirrored = bool(judged.mirrored_K[k])
        new = alive and not mirrored and bool(judged.is_new_K[k])
        feature = Feature(
            id=f"{side}-{k}",
            side=side,
            row=k,
            density=density_K[k].item(),
            delta_energy=_measured(judged.delta_energy_K, k),
            exclusivity=_measured(judged.exclusivity_K, k) if alive else None,
            seed_agreement=agreement,
            mirrored=mirrored,
            new=new,
            listed=new and (agreement is None or agreement >= config.seed_agreement),
        )
        features.append(_Weighed(judged.weight_K[k].item(), feature))
    return features


def _in_change(feature: Feature, trained: TrainedDfc, config: ScreenConfig) -> bool:
    if trained.model.config.form != "tied":
        return feature.new
    return feature.density >= config.minimum_density and not feature.mirrored


def _measured(value_K: Tensor | None, k: int) -> float | None:
    value = math.nan if value_K is None else value_K[k].item()
    return value if math.isfinite(value) else None


def _codes(codes: ExclusiveCodes, side: SideName) -> Tensor:
    return codes.candidate_TK if side == "candidate" else codes.base_TK


def _block(trained: TrainedDfc, side: SideName) -> ExclusiveBlock:
    return trained.model.candidate if side == "candidate" else trained.model.base
