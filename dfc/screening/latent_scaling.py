"""Latent scaling: does the other model carry an exclusive latent after all?

(Minder et al. 2025.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from dfc.screening.exclusive_codes import SideSums


def exclusivity(sums: SideSums) -> Tensor:
    """Per latent 1 - max(nu_error, nu_reconstruction), clipped to [0, 1].

    Latent scaling (arXiv 2504.02922 section 3): beta(y) = sum f <w, y> / (|w|^2 sum f^2) is the
    best scale of the latent's contribution on target y, nu = beta(other model) / beta(own). The
    residual target catches a concept that the other model has and the crosscoder left out
    (complete shrinkage), the reconstruction target one that other latents write there (latent
    decoupling). NaN for a latent that never fires, and for one whose contribution its own model
    does not carry (an own beta of 0 or less): of nothing there is no part to compare.
    """
    own_K = torch.minimum(sums.own_error_K, sums.own_output_K)
    nu_error_K = sums.other_error_K / sums.own_error_K
    nu_output_K = sums.other_output_K / sums.own_output_K
    score_K = (1 - torch.maximum(nu_error_K, nu_output_K)).clamp(0, 1)
    return torch.where(own_K > 0, score_K, torch.nan)
