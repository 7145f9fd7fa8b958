"""Centre and scale activations so that one set of hyper-parameters fits every model."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

CHUNK = 65_536
"""Tokens converted to full precision at a time."""


class Normalisation(NamedTuple):
    """Per-model means ``[d]`` and scales; normalised activations are ``(x - mean) / scale``."""

    base_mean_D: Tensor
    candidate_mean_D: Tensor
    base_scale: float
    candidate_scale: float

    def base(self, x_TD: Tensor) -> Tensor:
        return (x_TD.float() - self.base_mean_D) / self.base_scale

    def candidate(self, x_TD: Tensor) -> Tensor:
        return (x_TD.float() - self.candidate_mean_D) / self.candidate_scale


def fit_normalisation(
    base_TD: Tensor, candidate_TD: Tensor, *, same_architecture: bool
) -> Normalisation:
    """Scale the median centred norm to ``sqrt(d)``, across architectures to the root of the
    mean width (paper B.1).

    Checkpoints of one architecture share the base's mean and scale. Then candidate minus base is
    untouched: separate ones would hide a constant change from the exclusive latents or invent one.
    """
    width = (base_TD.shape[1] + candidate_TD.shape[1]) / 2
    base_D = _mean(base_TD)
    base_scale = _median_norm(base_TD, base_D) / width**0.5
    if same_architecture:
        return Normalisation(base_D, base_D, base_scale, base_scale)
    candidate_D = _mean(candidate_TD)
    candidate_scale = _median_norm(candidate_TD, candidate_D) / width**0.5
    return Normalisation(base_D, candidate_D, base_scale, candidate_scale)


def outliers(x_TD: Tensor, limit: float = 2.0) -> Tensor:
    """Tokens whose norm exceeds ``limit`` times the median norm; they are left out of training
    (paper B.1.4)."""
    norm_T = x_TD.float().norm(dim=1)
    return norm_T > limit * norm_T.median()


def _mean(x_TD: Tensor) -> Tensor:
    total_D = torch.stack([chunk.double().sum(0) for chunk in x_TD.split(CHUNK)]).sum(0)
    return (total_D / len(x_TD)).float()


def _median_norm(x_TD: Tensor, mean_D: Tensor) -> float:
    norm_T = torch.cat([(chunk.float() - mean_D).norm(dim=1) for chunk in x_TD.split(CHUNK)])
    median = norm_T.median().item()
    if median == 0:
        raise ValueError("all harvested activations are equal: the median centred norm is zero")
    return median
