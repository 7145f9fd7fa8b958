"""How alike are two sets of latents: in what they write, and in where they fire?"""

import torch
from torch import Tensor


def cosines(decoder_KD: Tensor, other_JD: Tensor) -> Tensor:
    """Cosine ``[K, J]`` of every pair of decoder rows."""
    return _unit(decoder_KD) @ _unit(other_JD).T


def correlations(code_TK: Tensor, other_TJ: Tensor) -> Tensor:
    """Pearson correlation ``[K, J]`` of every pair of activations over the same tokens."""
    centred_TK = code_TK.float() - code_TK.float().mean(0)
    centred_TJ = other_TJ.float() - other_TJ.float().mean(0)
    return _unit(centred_TK.T) @ _unit(centred_TJ.T).T


def partner_similarity(
    decoder_KD: Tensor, code_TK: Tensor, other_decoder_JD: Tensor, other_code_TJ: Tensor
) -> Tensor:
    """Per latent of one run the similarity ``[K]`` of its best partner in another run of the pair.

    Similarity is the larger of cosine and correlation: two runs may split one direction differently
    and still fire alike. Each pair is judged by itself, so two latents may share a partner.
    """
    alike_KJ = torch.maximum(
        cosines(decoder_KD, other_decoder_JD), correlations(code_TK, other_code_TJ)
    )
    return alike_KJ.max(1).values


def _unit(x_KD: Tensor) -> Tensor:
    return x_KD / x_KD.norm(dim=1, keepdim=True).clamp_min(torch.finfo(x_KD.dtype).tiny)
