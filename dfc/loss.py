"""The loss terms of the crosscoder, each a share of variance so that their weights mean the
same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
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
    return (
        _unexplained(base_BD, out.base_BD, variance.base),
        _unexplained(candidate_BD, out.candidate_BD, variance.candidate),
    )


def difference_loss(
    model: Dfc, base_BD: Tensor, candidate_BD: Tensor, code: Codes, variance: Variance
) -> Tensor:
    """Unexplained share of candidate minus base when the exclusive blocks alone explain it.

    Delta-Crosscoder's L_delta (arXiv 2603.04426) with two changes. It is averaged over nested
    prefixes of the blocks, so that the first latents alone carry as much of the change as so few
    can (Matryoshka SAEs). And the candidate's latents explain the difference by themselves, the
    base's only what these leave over: trained together, a latent of each block reads the same
    concept in its own model and the two cancel but for the change (mirror features), so that
    neither alone is the change.
    """
    change_BD = candidate_BD - base_BD
    new_BD = code.candidate_BF @ model.candidate.decoder
    lost_BD = (new_BD.detach() - change_BD).float()
    losses = [
        _unexplained(target_BD, block_BF[:, :n] @ decoder_FD[:n], variance.difference)
        for target_BD, block_BF, decoder_FD in (
            (change_BD, code.candidate_BF, model.candidate.decoder),
            (lost_BD, code.base_BF, model.base.decoder),
        )
        for n in nested_prefixes(model.config.prefixes, len(decoder_FD))
    ]
    return torch.stack(losses).mean()


def _unexplained(target_BD: Tensor, out_BD: Tensor, variance: float) -> Tensor:
    return (target_BD - out_BD.float()).pow(2).sum(1).mean() / variance


def nested_prefixes(prefixes: Sequence[int], latents: int) -> list[int]:
    """The prefixes that are shorter than a block of ``latents``, then the whole block."""
    return [n for n in prefixes if n < latents] + [latents]


def aux_loss(
    model: Dfc,
    base_BD: Tensor,
    candidate_BD: Tensor,
    code: Codes,
    out: Reconstruction,
    dead_F: Tensor,
    variance: Variance,
) -> Tensor:
    """AuxK (paper B.1.5): dead latents reconstruct what the live ones leave over.

    The d/2 strongest dead latents per token by their ordinary code take part, as in the released
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
    left_base_BD = (base_BD - out.base_BD.float()).detach()
    left_candidate_BD = (candidate_BD - out.candidate_BD.float()).detach()
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
