"""Does a second training run find the same feature?"""

from __future__ import annotations

import torch
from torch import Tensor


def partner_similarity(
    decoder_KD: Tensor, code_TK: Tensor, other_decoder_JD: Tensor, other_code_TJ: Tensor
) -> Tensor:
    """Per latent of one run the similarity ``[K]`` of its best partner in another run of the
    same pair.

    Similarity is the larger of decoder cosine and Pearson correlation of the activations over
    the same tokens (dfc.md 6.2, step 4): two runs may split one direction differently and still
    fire alike.
    """
    cosine_KJ = _rows(decoder_KD) @ _rows(other_decoder_JD).T
    centred_TK = code_TK.float() - code_TK.float().mean(0)
    other_TJ = other_code_TJ.float() - other_code_TJ.float().mean(0)
    pearson_KJ = _rows(centred_TK.T) @ _rows(other_TJ.T).T
    return torch.maximum(cosine_KJ, pearson_KJ).max(1).values


def _rows(x_KD: Tensor) -> Tensor:
    return x_KD / x_KD.norm(dim=1, keepdim=True).clamp_min(torch.finfo(x_KD.dtype).tiny)
