"""The loss terms of the tied form's exclusive blocks: they alone explain the difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.crosscoder.model import Dfc, Kept
from dfc.crosscoder.sparse_products import Active, write


class Moving(NamedTuple):
    """The part of the difference that moves the candidate's words."""

    direction_RD: Tensor
    """As long as what they move (``attribution.MovingDirections.weighted_RD``)."""
    variance: float
    """Mean square of the difference in them, over the positions as they are drawn."""

    def of(self, x_ND: Tensor) -> Tensor:
        """Each row's parts in these directions ``[N, R]``."""
        return x_ND @ self.direction_RD.T


def difference_loss(
    model: Dfc,
    base_BD: Tensor,
    candidate_BD: Tensor,
    code: Kept,
    variance: float,
    moving: Moving | None = None,
) -> Tensor:
    """Unexplained share of candidate minus base when the exclusive blocks alone explain it.

    ``variance`` is the mean square of the difference. Delta-Crosscoder's L_delta (arXiv 2603.04426)
    with three changes. It is averaged over nested prefixes of the blocks, so that the first latents
    alone carry as much of the change as so few can (Matryoshka SAEs). The candidate's latents
    explain the difference by themselves, the base's only what these leave over: trained together, a
    latent of each block reads the same concept in its own model and the two cancel but for the
    change (mirror features), so that neither alone is the change. And given ``moving``, a prefix
    answers for the difference within these directions alone: the first latents are those that move
    the words.
    """
    change_BD = candidate_BD - base_BD
    new_BD = write(code.candidate_BF, model.candidate.decoder)
    lost_BD = (new_BD.detach() - change_BD).float()
    old_BD = write(code.base_BF, model.base.decoder)
    losses = [unexplained(change_BD, new_BD, variance), unexplained(lost_BD, old_BD, variance)]
    for target_BD, block_BF, decoder_FD in (
        (change_BD, code.candidate_BF, model.candidate.decoder),
        (lost_BD, code.base_BF, model.base.decoder),
    ):
        losses += _prefix_losses(model, target_BD, block_BF, decoder_FD, variance, moving)
    return torch.stack(losses).mean()


def _prefix_losses(
    model: Dfc,
    target_BD: Tensor,
    block_BF: Tensor | Active,
    decoder_FD: Tensor,
    variance: float,
    moving: Moving | None,
) -> list[Tensor]:
    """The unexplained share of each prefix; given ``moving``, all is taken to its directions first,
    of which there are far fewer than the residual stream has."""
    if moving is not None:
        target_BD, decoder_FD = moving.of(target_BD), moving.of(decoder_FD)
        variance = moving.variance
    prefixes = short_prefixes(model.config.prefixes, len(decoder_FD))
    if isinstance(block_BF, Active):
        block_BF = block_BF.dense()
    return [unexplained(target_BD, block_BF[:, :n] @ decoder_FD[:n], variance) for n in prefixes]


def silence_loss(
    model: Dfc, base_BD: Tensor, candidate_BD: Tensor, threshold: Tensor, moving: Moving
) -> Tensor:
    """Energy that the prefixes of each exclusive block would write within the moving directions on
    reading the other model, as a share of the difference's.

    An update is a function of the context, which both models see; a latent that reads the context
    alone would fire in the base as well. Penalised, it must read what only its own model has.
    """
    prefixes = model.config.prefixes
    misread = model.misread(base_BD, candidate_BD, threshold, max(prefixes, default=0))
    shares = []
    for block_BF, decoder_FD in (
        (misread.base_BF, model.base.decoder),
        (misread.candidate_BF, model.candidate.decoder),
    ):
        written_FR = moving.of(decoder_FD)
        for n in short_prefixes(prefixes, len(decoder_FD)):
            energy = mean_square((block_BF[:, :n] @ written_FR[:n]).float())
            shares.append(energy / moving.variance)
    return torch.stack(shares).mean() if shares else moving.direction_RD.new_zeros(())


def unexplained(target_BD: Tensor, out_BD: Tensor, variance: float) -> Tensor:
    """Squared error over a variance."""
    return mean_square(target_BD - out_BD.float()) / variance


def mean_square(x_BD: Tensor) -> Tensor:
    """Squared norm of a row, averaged over the rows."""
    return x_BD.pow(2).sum(1).mean()


def short_prefixes(prefixes: Sequence[int], latents: int) -> list[int]:
    """The prefixes that are shorter than a block of ``latents``."""
    return [n for n in prefixes if n < latents]
