"""Shared latents that have become one model's own join that model's exclusive block.

Nothing in the strict form makes a concept of one model alone go to its exclusive block: a shared
latent can learn it as well, and then writes next to nothing into the other model. Its relative
decoder norm tells (section 2.3 of the paper, there for the standard crosscoder). Such a latent
still reads both models; as an exclusive one it reads its own, by a ridge regression of what it
read.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dfc.crosscoder.model import Dfc, ExclusiveBlock
from dfc.crosscoder.normalisation import outliers
from dfc.crosscoder.train import TrainedDfc

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

    def read(rows_F: Tensor) -> Tensor:
        both_NL = base_ND @ model.encoder_base[rows_F].T
        both_NL += candidate_ND @ model.encoder_candidate[rows_F].T
        return both_NL + model.shared_bias[rows_F]

    joined = {
        "base": _joined(model.base, base_ND, read(base_F), model.decoder_base[base_F]),
        "candidate": _joined(
            model.candidate,
            candidate_ND,
            read(candidate_F),
            model.decoder_candidate[candidate_F],
        ),
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
    block: ExclusiveBlock, x_ND: Tensor, read_NL: Tensor, decoder_LD: Tensor
) -> dict[str, Tensor]:
    """The block's parameters with latents added that write ``decoder_LD`` and read from ``x_ND``
    what comes nearest to ``read_NL``."""
    mean_D, mean_L = x_ND.mean(0), read_NL.mean(0)
    centred_ND = x_ND - mean_D
    square_DD = centred_ND.T @ centred_ND
    penalty_DD = RIDGE * square_DD.diagonal().mean() * torch.eye(len(square_DD))
    weight_DL = torch.linalg.solve(square_DD + penalty_DD, centred_ND.T @ (read_NL - mean_L))
    return {
        "encoder": torch.cat([block.encoder, weight_DL.T]),
        "bias": torch.cat([block.bias, mean_L - mean_D @ weight_DL]),
        "decoder": torch.cat([block.decoder, decoder_LD]),
    }
