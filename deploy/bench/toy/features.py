"""What a trained crosscoder calls exclusive, and what that is in truth."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from deploy.bench.toy.universe import Sample, Universe
from dfc.crosscoder.config import ScreenConfig
from dfc.crosscoder.model import Codes, Dfc, Reconstruction
from dfc.crosscoder.train import TrainedDfc
from dfc.screening.cross_scaling import cross_scaling
from dfc.screening.exclusive_codes import exclusive_codes
from dfc.screening.judgement import judge_tied
from dfc.screening.leaning import LEANING
from dfc.screening.screen_across import is_new
from dfc.sides import SideName

RECOVERED = 0.8
"""Cosine above which a decoder row recovers a concept (paper, appendix B.2.4)."""

SCREEN = ScreenConfig.model_validate({})
"""The product's own bounds ..."""

RESIDUAL_ALONE = SCREEN.model_copy(update={"carried_readout": float("inf")})
"""... and without the second target."""

Kind = Literal["exclusive", "shared", "none"]


class Feature(NamedTuple):
    """One living latent that a crosscoder calls exclusive."""

    side: SideName
    dedicated: bool
    """Whether it lies in the block of its model, as opposed to leaning to it."""

    kind: Kind
    """What it recovers in truth: a concept of its model alone, a shared one, or none."""

    concept: int
    """Row of the nearest concept of its model."""
    cosine: float
    density: float
    rho_error: float | None
    """Two-target latent scaling; None where it cannot be measured."""
    rho_readout: float | None
    is_new: bool
    """Whether it passes the product's filter: the other model carries little of it."""
    is_new_by_residual: bool | None
    """Whether it would by the residual alone; None in the tied form, which the product filters by
    the difference of states."""


class Evaluation(NamedTuple):
    """A trained crosscoder on samples that it was not trained on."""

    features: list[Feature]
    variance_explained: float
    """Mean of both models."""

    shared_recall: float | None
    """Share of the shared concepts that some latent recovers, in the base."""
    alive: float


@torch.no_grad()
def evaluate(trained: TrainedDfc, universe: Universe, sample: Sample) -> Evaluation:
    """Judge by the concepts' true directions; the ratios see nothing but activations."""
    model, norm = trained.model, trained.normalisation
    base_TD, candidate_TD = norm.base(sample.base_TD), norm.candidate(sample.candidate_TD)
    code = model.select(model.encode(base_TD, candidate_TD))
    out = model.decode(code)
    left = Reconstruction(base_TD - out.base_BD, candidate_TD - out.candidate_BD)
    code_TF, rows = torch.cat(code, dim=1), written_rows(model)
    fires_F = (code_TF > 0).any(0)
    shared = torch.arange(len(fires_F)) < model.config.shared
    dedicated_F = ~shared if model.config.candidate_exclusive else torch.zeros_like(shared)
    new_tied = _new_by_difference(trained, sample) if model.config.form == "tied" else None
    features: list[Feature] = []
    sides: tuple[SideName, SideName] = ("base", "candidate")
    for side in sides:
        states = (base_TD, candidate_TD, left.candidate_BD)
        row_FD = rows.base_BD
        if side == "candidate":
            states, row_FD = (candidate_TD, base_TD, left.base_BD), rows.candidate_BD
        called_F = called_exclusive(rows, side) & fires_F
        code_TK, row_KD = code_TF[:, called_F], row_FD[called_F]
        rho = cross_scaling(code_TK, *states, row_KD)
        is_new_K, by_residual_K = is_new(rho, SCREEN), is_new(rho, RESIDUAL_ALONE).tolist()
        if new_tied is not None:
            is_new_K, by_residual_K = new_tied[side][called_F], [None] * len(row_KD)
        columns = zip(
            dedicated_F[called_F].tolist(),
            truth(row_KD, universe, side),
            (code_TK > 0).float().mean(0).tolist(),
            map(_measured, rho.error_K.tolist()),
            map(_measured, rho.readout_K.tolist()),
            is_new_K.tolist(),
            by_residual_K,
            strict=True,
        )
        features += [Feature(side, own, *true, *rest) for own, true, *rest in columns]
    explained = [
        1 - (error_TD.pow(2).sum(1).mean() / x_TD.var(0, correction=0).sum()).item()
        for x_TD, error_TD in ((base_TD, left.base_BD), (candidate_TD, left.candidate_BD))
    ]
    return Evaluation(
        features,
        sum(explained) / 2,
        recalled(rows.base_BD, universe.base_CD[universe.shared]),
        fires_F.float().mean().item(),
    )


def _new_by_difference(trained: TrainedDfc, sample: Sample) -> dict[SideName, Tensor]:
    """Which latents ``[F]`` the product calls new where the states can be subtracted."""
    codes = exclusive_codes(trained, sample.base_TD, sample.candidate_TD)
    judged = judge_tied(trained, codes, SCREEN)
    shared_F = torch.zeros(trained.model.config.shared, dtype=torch.bool)
    base_K, candidate_K = judged["base"].is_new_K, judged["candidate"].is_new_K
    return {
        "base": torch.cat([shared_F, base_K, torch.zeros_like(candidate_K)]),
        "candidate": torch.cat([shared_F, torch.zeros_like(base_K), candidate_K]),
    }


def written_rows(model: Dfc) -> Reconstruction:
    """What each latent writes into both models ``[F, d]``, in the order of concatenated codes."""
    blocks = [len(norm_F) for norm_F in model.decoder_norms()]
    return model.decode(Codes(*torch.eye(sum(blocks)).split(blocks, dim=1)), bias=False)


def called_exclusive(rows: Reconstruction, side: SideName) -> Tensor:
    """Which latents ``[F]`` lean to one model by more than 0.8 of what they write.

    Dedicated latents do so by construction, but the rule is the same for every form: a shared
    latent of a DFC that has become one model's own counts too.
    """
    own_FD, other_FD = rows if side == "base" else (rows.candidate_BD, rows.base_BD)
    own_F, other_F = own_FD.norm(dim=1), other_FD.norm(dim=1)
    return own_F > LEANING * (own_F + other_F)


def recalled(row_FD: Tensor, concept_CD: Tensor) -> float | None:
    """Share of the concepts that some row recovers; None without concepts."""
    if not len(concept_CD):
        return None
    alike_FC = normalize(row_FD) @ normalize(concept_CD).T
    return (alike_FC > RECOVERED).any(0).float().mean().item()


def truth(row_KD: Tensor, universe: Universe, side: SideName) -> list[tuple[Kind, int, float]]:
    """Kind, nearest concept of the model, and the cosine with it, per row."""
    own, absent = universe.base_only, universe.candidate_only
    concept_CD = universe.base_CD
    if side == "candidate":
        own, absent, concept_CD = absent, own, universe.candidate_CD
    alike_KC = normalize(row_KD) @ normalize(concept_CD).T
    alike_KC[:, absent] = -1
    cosines, concepts = (found.tolist() for found in alike_KC.max(1))
    found: list[tuple[Kind, int, float]] = []
    for cosine, concept in zip(cosines, concepts, strict=True):
        kind: Kind = "exclusive" if own.start <= concept < own.stop else "shared"
        found.append((kind if cosine > RECOVERED else "none", concept, cosine))
    return found


def _measured(ratio: float) -> float | None:
    return None if ratio == float("inf") else ratio
