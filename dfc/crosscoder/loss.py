"""The loss terms of the crosscoder, each a share of variance so that their weights mean the
same everywhere."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dfc.crosscoder.difference_loss import Moving, difference_loss, silence_loss, unexplained
from dfc.crosscoder.model import Dfc, Kept, Reconstruction


class Loss(NamedTuple):
    """Unexplained shares of variance; ``total`` is their weighted sum."""

    total: Tensor
    base: Tensor
    candidate: Tensor
    difference: Tensor
    silence: Tensor
    """Energy that the first exclusive latents would write on reading the other model, as a share
    of the moving difference's."""
    aux: Tensor


class Variance(NamedTuple):
    """Mean squared distance from the mean over the positions as they are drawn, per model; the mean
    square of the difference, which has no mean taken off."""

    base: float
    candidate: float
    difference: float


def reconstruction_loss(
    base_BD: Tensor, candidate_BD: Tensor, out: Reconstruction, variance: Variance
) -> tuple[Tensor, Tensor]:
    """Squared error per model over its variance: equation 2 of the paper, normalised."""
    return (
        unexplained(base_BD, out.base_BD, variance.base),
        unexplained(candidate_BD, out.candidate_BD, variance.candidate),
    )


def aux_loss(
    model: Dfc,
    base_BD: Tensor,
    candidate_BD: Tensor,
    out: Reconstruction,
    dead_F: Tensor,
    variance: Variance,
) -> Tensor:
    """AuxK (paper B.1.5): dead latents reconstruct what the live ones leave over.

    The d/2 strongest dead latents per token by their ordinary code take part, as in the released
    code. In the tied form the exclusive blocks learn from the difference alone, so only shared
    latents take part. Zero when nothing is dead.
    """
    if model.config.form == "tied":
        place_F = torch.arange(len(dead_F), device=dead_F.device)
        dead_F = dead_F & (place_F < model.config.shared)
    limit = min(len(dead_F), max(1, (base_BD.shape[1] + candidate_BD.shape[1]) // 4))
    if base_BD.is_cpu:  # where a look at how many are dead costs nothing
        dead = int(dead_F.sum())
        if not dead:
            return base_BD.new_zeros(())
        limit = min(dead, limit)
    kept = model.strongest(base_BD, candidate_BD, dead_F, limit)
    dead_out = model.decode(kept, bias=False)
    left_base_BD = (base_BD - out.base_BD.float()).detach()
    left_candidate_BD = (candidate_BD - out.candidate_BD.float()).detach()
    base, candidate = reconstruction_loss(left_base_BD, left_candidate_BD, dead_out, variance)
    return (base + candidate) * dead_F.any()


def total_loss(
    model: Dfc,
    base_BD: Tensor,
    candidate_BD: Tensor,
    kept: Kept,
    dead_F: Tensor,
    variance: Variance,
    threshold: Tensor,
    moving: Moving | None = None,
) -> Loss:
    """Reconstruction of both models, the difference (tied form), the silence of its first latents
    in the other model, and AuxK; ``kept`` are the codes after selection."""
    config = model.config
    # In the tied form the exclusive blocks learn from the difference alone: what they would add to
    # the reconstruction is a part of the concepts that both models share.
    out = model.decode(kept, learn_exclusive=config.form == "strict")
    base, candidate = reconstruction_loss(base_BD, candidate_BD, out, variance)
    aux = aux_loss(model, base_BD, candidate_BD, out, dead_F, variance)
    difference, silence = base.new_zeros(2)
    if config.form == "tied":
        difference = difference_loss(
            model, base_BD, candidate_BD, kept, variance.difference, moving
        )
        if moving is not None and config.silence_weight > 0:
            silence = silence_loss(model, base_BD, candidate_BD, threshold, moving)
    total = (
        base
        + candidate
        + config.difference_weight * difference
        + config.silence_weight * silence
        + config.aux_weight * aux
    )
    return Loss(total, base, candidate, difference, silence, aux)
