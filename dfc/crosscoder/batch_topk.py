"""BatchTopK: keep the k·B largest scores of a whole batch (arXiv 2412.06410)."""

from __future__ import annotations

import torch
from torch import Tensor

from dfc.crosscoder import replicas

SAMPLED_OF = 61
"""One score in this many is looked at first; a prime, so that the sample is of all latents."""
SAMPLE_SLACK = 1.2
"""How many more than its share of the largest scores the sample's guess keeps."""


def batch_topk_threshold(score_BF: Tensor, k: float) -> Tensor:
    """The smallest of the ``round(k·B)`` largest positive scores of the batch (a 0-dim tensor).

    A token may use more or fewer than ``k`` latents; only the batch average is fixed. When
    fewer scores are positive, all positive ones are kept: forcing silent latents to fire fills
    rare features' slots with noise.
    """
    wanted = min(wanted_of_all(k, len(score_BF)), score_BF.numel() * replicas.count())
    if wanted < 1:
        raise ValueError(f"k = {k} keeps no latent at all in a batch of {score_BF.shape[0]} tokens")
    return threshold_of(replicas.among_largest(score_BF.detach().reshape(-1), wanted), wanted)


def wanted_of_all(k: float, tokens: int) -> int:
    """How many latents the whole batch keeps, of which this process has so many ``tokens``."""
    return round(k * tokens * replicas.count())


def threshold_of(score_N: Tensor, wanted: int) -> Tensor:
    """The smallest of the ``wanted`` largest positive scores; where fewer are positive, what only
    positive ones reach."""
    tiny = torch.finfo(score_N.dtype).tiny
    if wanted > len(score_N):
        return score_N.new_tensor(tiny)
    return _smallest_of_largest(score_N, wanted).clamp_min(tiny)


def keep_above(code_BF: Tensor, score_BF: Tensor, threshold: Tensor) -> Tensor:
    """``code_BF`` where its score reaches ``threshold``, zero elsewhere (JumpReLU form at
    inference)."""
    return torch.where(score_BF >= threshold, code_BF, 0.0)


def _smallest_of_largest(flat_N: Tensor, wanted: int) -> Tensor:
    """The smallest of the ``wanted`` largest values.

    On a CPU a sample guesses it from below first, so that few values are left to be ordered; where
    the guess was too high, all are.
    """
    sample_M = flat_N[::SAMPLED_OF]
    guess = round(wanted / SAMPLED_OF * SAMPLE_SLACK) + 1
    if flat_N.is_cpu and guess < len(sample_M):
        above_N = flat_N[flat_N >= sample_M.kthvalue(len(sample_M) - guess).values]
        if len(above_N) >= wanted:
            flat_N = above_N
    return flat_N.kthvalue(len(flat_N) - wanted + 1).values
