"""Shared latents that have become one model's own join that model's exclusive block.

Nothing in the strict form makes a concept of one model alone go to its exclusive block: a shared
latent can learn it as well, and then writes next to nothing into the other model. Its relative
decoder norm tells (section 2.3 of the paper, there for the standard crosscoder). Such a latent
still reads both models; as an exclusive one it reads its own, by a ridge regression of what it
read. Such a prediction varies less than what it predicts, and what is written into one model alone
meets another bar than a mean over both: so it is scaled and moved until the latent fires as often
as it did, and on average as strongly.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dfc.crosscoder.model import BASE, CANDIDATE, SHARED, Dfc, ExclusiveBlock
from dfc.crosscoder.normalisation import outliers
from dfc.crosscoder.train import TrainedDfc
from dfc.sides import SideName

_Block = dict[str, Tensor]

LEANING = 0.8
"""Part of what a latent writes, by norms, above which it is one model's own."""
RIDGE = 1e-3
"""Penalty, as a part of the states' mean variance per dimension."""
_PER_LATENT = ("encoder_base", "encoder_candidate", "shared_bias", "decoder_base")


@torch.no_grad()
def with_leaning_exclusive(
    trained: TrainedDfc, base_TD: Tensor, candidate_TD: Tensor
) -> TrainedDfc:
    """The strict crosscoder with its leaning shared latents at the ends of the exclusive blocks.

    The activations ``[T, d]`` are raw and token-aligned, those that it was trained on. A latent
    keeps the row that it writes into its own model; what it wrote into the other is left out. As
    many shared latents as are active per token stay in any case. Raises ValueError for the tied
    form, whose shared latents write one row into both models.
    """
    model, norm = trained.model, trained.normalisation
    if model.decoder_candidate is None:
        raise ValueError("the crosscoder is tied: none of its shared latents leans")
    base_F, candidate_F = _leaning(model)
    kept_T = ~(outliers(base_TD) | outliers(candidate_TD))
    base_ND, candidate_ND = norm.base(base_TD[kept_T]), norm.candidate(candidate_TD[kept_T])

    norms_F = model.decoder_norms().shared_BF

    def joined_to(side: SideName, x_ND: Tensor, rows_F: Tensor, decoder_FD: Tensor) -> _Block:
        read_NL = base_ND @ model.encoder_base[rows_F].T
        read_NL += candidate_ND @ model.encoder_candidate[rows_F].T
        read_NL += model.shared_bias[rows_F]
        fires_NL = read_NL.relu() * norms_F[rows_F] >= model.threshold[SHARED]
        bar = model.threshold[CANDIDATE if side == "candidate" else BASE]
        block = model.candidate if side == "candidate" else model.base
        return _joined(block, x_ND, read_NL, fires_NL, decoder_FD[rows_F], bar)

    joined = {
        "base": joined_to("base", base_ND, base_F, model.decoder_base),
        "candidate": joined_to("candidate", candidate_ND, candidate_F, model.decoder_candidate),
    }
    before, shared_F = model.state_dict(), ~(base_F | candidate_F)
    after = {name: before[name] for name in ("bias_base", "bias_candidate", "threshold")}
    after |= {name: before[name][shared_F] for name in (*_PER_LATENT, "decoder_candidate")}
    after |= {f"{side}.{name}": x for side, block in joined.items() for name, x in block.items()}
    sizes = {
        "shared": int(shared_F.sum()),
        "base_exclusive": len(joined["base"]["bias"]),
        "candidate_exclusive": len(joined["candidate"]["bias"]),
    }
    config = model.config.model_copy(update=sizes)
    found = Dfc(config, base_TD.shape[1], candidate_TD.shape[1])
    found.load_state_dict(after)
    return trained._replace(model=found.eval())


def _leaning(model: Dfc) -> tuple[Tensor, Tensor]:
    """Which shared latents ``[F]`` lean to the base and which to the candidate."""
    base_F, candidate_F = model.decoder_base.norm(dim=1), model.decoder_candidate.norm(dim=1)
    lean_F = torch.maximum(base_F, candidate_F) / (base_F + candidate_F)
    most = len(lean_F) - math.ceil(model.config.k)
    strongest = lean_F.nan_to_num(0.0).argsort(descending=True)[: max(most, 0)]
    moved_F = torch.zeros(len(lean_F), dtype=torch.bool)
    moved_F[strongest] = lean_F[strongest] > LEANING
    return moved_F & (base_F > candidate_F), moved_F & (base_F <= candidate_F)


def _joined(
    block: ExclusiveBlock,
    x_ND: Tensor,
    read_NL: Tensor,
    fires_NL: Tensor,
    decoder_LD: Tensor,
    threshold: Tensor,
) -> _Block:
    """The block's parameters with latents added that write ``decoder_LD`` and read from ``x_ND``
    what comes nearest to ``read_NL``, under ``threshold`` as often as where ``fires_NL``."""
    centred_ND, centred_NL = x_ND - x_ND.mean(0), read_NL - read_NL.mean(0)
    square_DD = centred_ND.T @ centred_ND
    penalty_DD = RIDGE * square_DD.diagonal().mean() * torch.eye(len(square_DD))
    weight_DL = torch.linalg.solve(square_DD + penalty_DD, centred_ND.T @ centred_NL)
    found_NL, bar_L, count_L = x_ND @ weight_DL, threshold / decoder_LD.norm(dim=1), fires_NL.sum(0)
    begin_L = _reached_by(found_NL, count_L)
    above_L = (read_NL * fires_NL).sum(0) - count_L * bar_L
    found_above_L = (found_NL - begin_L).relu().sum(0)
    scale_L = torch.where(found_above_L > 0, above_L / found_above_L, 1.0)
    return {
        "encoder": torch.cat([block.encoder, (weight_DL * scale_L).T]),
        "bias": torch.cat([block.bias, bar_L - scale_L * begin_L]),
        "decoder": torch.cat([block.decoder, decoder_LD]),
    }


def _reached_by(x_NL: Tensor, count_L: Tensor) -> Tensor:
    """Per column a value that ``count_L`` of its entries reach, halfway between two of them; for
    none and for all of them it lies outside by their whole range."""
    falling_NL = x_NL.sort(dim=0, descending=True).values
    outside_L = 2 * (falling_NL[:1] - falling_NL[-1:])
    padded_ML = torch.cat([falling_NL[:1] + outside_L, falling_NL, falling_NL[-1:] - outside_L])
    return (padded_ML.gather(0, count_L[None]) + padded_ML.gather(0, count_L[None] + 1))[0] / 2
