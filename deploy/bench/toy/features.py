"""What a trained crosscoder calls exclusive, and what that is in truth."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from deploy.bench.toy.universe import Sample, Universe
from dfc.cross_scaling import cross_scaling
from dfc.model import Codes, Dfc, Reconstruction
from dfc.train import TrainedDfc

RECOVERED = 0.8
"""Cosine above which a decoder row recovers a concept (paper, appendix B.2.4)."""

LEANING = 0.8
"""Relative decoder norm above which a standard crosscoder's latent is one model's own (paper,
section 2.3)."""

Side = Literal["base", "candidate"]
Kind = Literal["exclusive", "shared", "none"]


class Feature(NamedTuple):
    """One living latent that a crosscoder calls exclusive."""

    side: Side
    kind: Kind
    """What it recovers in truth: a concept of its model alone, a shared one, or none."""

    concept: int | None
    """Row of the recovered concept."""
    cosine: float
    density: float
    rho_error: float | None
    """Two-target latent scaling; None where it cannot be measured."""
    rho_activation: float | None


class Evaluation(NamedTuple):
    """A trained crosscoder on samples that it was not trained on."""

    features: list[Feature]
    variance_explained: float
    """Mean of both models."""

    shared_recall: float
    """Share of the shared concepts that some latent recovers, in the base's space."""
    alive: float


@torch.no_grad()
def evaluate(trained: TrainedDfc, universe: Universe, sample: Sample) -> Evaluation:
    """Judge by the concepts' true directions; the ratios use nothing but the activations."""
    model, norm = trained.model, trained.normalisation
    base_TD, candidate_TD = norm.base(sample.base_TD), norm.candidate(sample.candidate_TD)
    code = model.select(model.encode(base_TD, candidate_TD))
    out = model.decode(code)
    left = Reconstruction(base_TD - out.base_BD, candidate_TD - out.candidate_BD)
    explained = [
        1 - (error_TD.pow(2).sum() / x_TD.var(0, correction=0).sum() / len(x_TD)).item()
        for x_TD, error_TD in ((base_TD, left.base_BD), (candidate_TD, left.candidate_BD))
    ]
    features: list[Feature] = []
    for side in ("base", "candidate"):
        decoder_KD, code_TK = called_exclusive(model, code, side)
        fires_K = (code_TK > 0).any(0)
        decoder_KD, code_TK = decoder_KD[fires_K], code_TK[:, fires_K]
        pair = (base_TD, candidate_TD, left.candidate_BD)
        if side == "candidate":
            pair = (candidate_TD, base_TD, left.base_BD)
        ratios = cross_scaling(code_TK, *pair, decoder_KD)
        density_K = (code_TK > 0).float().mean(0)
        for k, (kind, concept, cosine) in enumerate(truth(decoder_KD, universe, side)):
            error, activation = ratios.error_K[k].item(), ratios.activation_K[k].item()
            features.append(
                Feature(
                    side,
                    kind,
                    concept,
                    cosine,
                    density_K[k].item(),
                    None if error == torch.inf else error,
                    None if activation == torch.inf else activation,
                )
            )
    all_FD = torch.cat([model.decoder_base, model.base.decoder])
    alike_FC = normalize(all_FD) @ normalize(universe.base_CD[universe.shared]).T
    alive = torch.cat(code, dim=1).any(0).float().mean().item()
    return Evaluation(
        features, sum(explained) / 2, (alike_FC > RECOVERED).any(0).float().mean().item(), alive
    )


def called_exclusive(model: Dfc, code: Codes, side: Side) -> tuple[Tensor, Tensor]:
    """Decoder rows ``[K, d]`` and activations ``[T, K]`` of what a crosscoder calls exclusive.

    The exclusive block; in a crosscoder that has none, the latents whose decoder norm leans to one
    side by more than 0.8.
    """
    if model.config.candidate_exclusive:
        if side == "base":
            return model.base.decoder, code.base_BF
        return model.candidate.decoder, code.candidate_BF
    own_FD, other_FD = model.decoder_base, model.decoder_candidate
    assert other_FD is not None
    if side == "candidate":
        own_FD, other_FD = other_FD, own_FD
    own_F = own_FD.norm(dim=1)
    leans_F = own_F / (own_F + other_FD.norm(dim=1)) > LEANING
    return own_FD[leans_F], code.shared_BF[:, leans_F]


def truth(
    decoder_KD: Tensor, universe: Universe, side: Side
) -> list[tuple[Kind, int | None, float]]:
    """Per row what it recovers: kind, concept and the cosine with the nearest concept of its
    model."""
    concept_CD = universe.base_CD if side == "base" else universe.candidate_CD
    absent = universe.candidate_only if side == "base" else universe.base_only
    own = universe.base_only if side == "base" else universe.candidate_only
    alike_KC = normalize(decoder_KD) @ normalize(concept_CD).T
    alike_KC[:, absent] = -1
    found: list[tuple[Kind, int | None, float]] = []
    for cosine, concept in zip(*(x.tolist() for x in alike_KC.max(1)), strict=True):
        if cosine <= RECOVERED:
            found.append(("none", None, cosine))
        else:
            kind: Kind = "exclusive" if own.start <= concept < own.stop else "shared"
            found.append((kind, concept, cosine))
    return found
