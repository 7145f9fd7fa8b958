"""The loss terms of the crosscoder, each a share of variance so that their weights mean the
same everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.model import Codes, Dfc, Reconstruction


class Loss(NamedTuple):
    """Unexplained shares of variance; ``total`` is their weighted sum."""

    total: Tensor
    base: Tensor
    candidate: Tensor
    difference: Tensor
    aux: Tensor


class Variance(NamedTuple):
    """Mean squared distance from the mean over the training tokens, per model and of the
    difference."""

    base: float
    candidate: float
    difference: float


def reconstruction_loss(
    base_BD: Tensor, candidate_BD: Tensor, out: Reconstruction, variance: Variance
) -> tuple[Tensor, Tensor]:
    """Squared error per model over its variance: equation 2 of the paper, normalised."""
    base = (base_BD - out.base_BD.float()).pow(2).sum(1).mean() / variance.base
    candidate = (candidate_BD - out.candidate_BD.float()).pow(2).sum(1).mean() / variance.candidate
    return base, candidate


def difference_loss(
    model: Dfc, base_BD: Tensor, candidate_BD: Tensor, code: Codes, variance: Variance
) -> Tensor:
    """Unexplained share of candidate minus base when the exclusive blocks alone explain it.

    Delta-Crosscoder's L_delta (arXiv 2603.04426), averaged over nested prefixes of both blocks,
    so that the first latents alone carry as much of the change as so few can.
    """
    target_BD = candidate_BD - base_BD
    losses = []
    for n in nested_prefixes(model):
        new_BD = code.candidate_BF[:, :n] @ model.candidate.decoder[:n]
        lost_BD = code.base_BF[:, :n] @ model.base.decoder[:n]
        error_BD = target_BD - (new_BD - lost_BD).float()
        losses.append(error_BD.pow(2).sum(1).mean() / variance.difference)
    return torch.stack(losses).mean()


def nested_prefixes(model: Dfc) -> Iterator[int]:
    """The configured prefixes that are shorter than the longer exclusive block, then that
    block's length."""
    whole = max(model.config.base_exclusive, model.config.candidate_exclusive)
    yield from (n for n in model.config.prefixes if n < whole)
    yield whole


def aux_loss(
    model: Dfc,
    base_BD: Tensor,
    candidate_BD: Tensor,
    code: Codes,
    out: Reconstruction,
    dead_F: Tensor,
    variance: Variance,
) -> Tensor:
    """AuxK (Gao et al.

    2024; paper B.1.5): dead latents reconstruct what the live ones leave over.     The d/2
    strongest dead latents per token by their ordinary code take part, as in the released
    code. Zero when nothing is dead.
    """
    dead = int(dead_F.sum())
    if dead == 0:
        return base_BD.new_zeros(())
    all_BF = torch.cat(code, dim=1) * dead_F
    limit = min(dead, max(1, (base_BD.shape[1] + candidate_BD.shape[1]) // 4))
    kept_BF = torch.zeros_like(all_BF)
    strongest = all_BF.topk(limit, dim=1, sorted=False)
    kept_BF = kept_BF.scatter(1, strongest.indices, strongest.values)
    dead_code = Codes(*kept_BF.split([block.shape[1] for block in code], dim=1))
    dead_out = model.decode(dead_code, bias=False)
    left_base_BD = (base_BD - out.base_BD.float()).detach() + model.bias_base.detach()
    left_candidate_BD = (
        candidate_BD - out.candidate_BD.float()
    ).detach() + model.bias_candidate.detach()
    base, candidate = reconstruction_loss(left_base_BD, left_candidate_BD, dead_out, variance)
    return base + candidate


def total_loss(
    model: Dfc,
    base_BD: Tensor,
    candidate_BD: Tensor,
    code: Codes,
    kept: Codes,
    dead_F: Tensor,
    variance: Variance,
) -> Loss:
    """Reconstruction of both models, the difference (tied form) and AuxK; ``code`` is before
    and ``kept`` after selection."""
    config = model.config
    out = model.decode(kept)
    base, candidate = reconstruction_loss(base_BD, candidate_BD, out, variance)
    aux = aux_loss(model, base_BD, candidate_BD, code, out, dead_F, variance)
    difference = base.new_zeros(())
    if config.form == "tied":
        difference = difference_loss(model, base_BD, candidate_BD, kept, variance)
    total = base + candidate + config.difference_weight * difference + config.aux_weight * aux
    return Loss(total, base, candidate, difference, aux)
