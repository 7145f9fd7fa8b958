"""Random directions that look like the change: the control of every causal claim.

Isotropic directions are too weak a control: those drawn from the covariance of candidate minus
base, or of the activations, can undo part of a shift by chance. So every edit is repeated with
directions of that covariance, equal in number, in firing pattern and in edit norm.
"""

import torch
from torch import Tensor

from dfc.engine import FeatureBank


def difference_directions(difference_ND: Tensor, count: int, seed: int) -> Tensor:
    """``count`` unit directions ``[count, d]`` drawn from the covariance of ``difference_ND``.

    A Gaussian combination of centred samples has their covariance; the sign is random.
    """
    generator = torch.Generator().manual_seed(seed)
    centred_ND = difference_ND.float() - difference_ND.float().mean(0)
    weights_CN = torch.randn(count, len(centred_ND), generator=generator)
    directions_CD = weights_CN @ centred_ND
    return directions_CD / directions_CD.norm(dim=1, keepdim=True)


def control_bank(bank: FeatureBank, directions_KD: Tensor) -> FeatureBank:
    """The bank with every decoder row turned into a random direction of the same norm.

    The features fire where they did and as strongly, so an edit has the same norm at every token.
    """
    norm_K1 = bank.decoder_KD.norm(dim=1, keepdim=True)
    return bank._replace(decoder_KD=directions_KD.to(bank.decoder_KD) * norm_K1)
