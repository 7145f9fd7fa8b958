"""BatchTopK: keep the k·B largest scores of a whole batch (arXiv 2412.06410)."""

from __future__ import annotations

import torch
from torch import Tensor


def batch_topk_threshold(score_BF: Tensor, k: float) -> Tensor:
    """The smallest of the ``round(k·B)`` largest positive scores of the batch (a 0-dim tensor).

    A token may use more or fewer than ``k`` latents; only the batch average is fixed. When
    fewer scores are positive, all positive ones are kept: forcing silent latents to fire fills
    rare features' slots with noise.
    """
    wanted = min(round(k * score_BF.shape[0]), score_BF.numel())
    if wanted < 1:
        raise ValueError(f"k = {k} keeps no latent at all in a batch of {score_BF.shape[0]} tokens")
    flat = score_BF.detach().reshape(-1)
    kept = torch.topk(flat, wanted, sorted=False).values.min()
    return kept.clamp_min(torch.finfo(flat.dtype).tiny)


def keep_above(code_BF: Tensor, score_BF: Tensor, threshold: Tensor) -> Tensor:
    """``code_BF`` where its score reaches ``threshold``, zero elsewhere (JumpReLU form at
    inference)."""
    return code_BF * (score_BF >= threshold)
