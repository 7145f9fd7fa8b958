"""Affine maps between the residual streams of two models, to ask whether the other one has a
direction too.

Stitching after Chen et al. 2025 (arXiv 2506.06609), used on exclusive features by Jiralerspong &
Bricken 2026 (arXiv 2602.11729, B.5). They train both maps by gradient descent; ridge regression
has the optimum of the squared error in closed form.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from dfc.crosscoder.normalisation import Normalisation, fit_normalisation, outliers
from dfc.errors import InputError
from dfc.sides import SideName

BLOCK = 64
"""Neighbouring pairs that are held out together: tokens of one document resemble each other."""
FEWEST_BLOCKS = 10
CHUNK = 8192
"""Pairs converted to full precision at a time."""
HELD_OUT = 10
"""One block in so many chooses the ridge, another one measures the maps."""
RIDGES = tuple(10.0 ** (n / 2) for n in range(-12, 3))
"""Ridges to choose from, as parts of the mean variance of the source."""


class AffineMap(NamedTuple):
    """``x @ weight.T + bias`` takes states of the source to the target, in raw residual units."""

    weight: Tensor
    """``[d_target, d_source]``, float32."""
    bias_D: Tensor
    ridge: float
    r2: float
    """Part of the target's variance that the map explains on pairs that neither fitted it nor chose
    the ridge."""
    variance_DD: Tensor
    """Second moments of the target on those pairs, up to one factor, and what the map leaves."""
    error_DD: Tensor


class Stitch(NamedTuple):
    """Both maps between the residual streams of two models."""

    base_to_candidate: AffineMap
    candidate_to_base: AffineMap
    base_norm: float
    """Median norm of the states about their mean."""
    candidate_norm: float


class Mapped(NamedTuple):
    """Directions of one model as the other model has them."""

    direction_KD: Tensor
    """As long, compared with the norm of a state, as they were in their own model."""
    gain_K: Tensor
    """How long the map made them by itself, on that scale; near 0 when the other has nothing."""
    r2_K: Tensor
    """Part of the variance along the direction, in its own model, that the other model's states
    predict; not a number where there is no variance."""


class _Stream(NamedTuple):
    """One model's part of the joint moments, and what normalised it."""

    columns: slice
    mean_D: Tensor
    scale: float


def fit_stitch(base_TD: Tensor, candidate_TD: Tensor, *, seed: int) -> Stitch:
    """Fit both maps on aligned states ``[T, d_base]`` and ``[T, d_candidate]``, outliers left out.

    Raises InputError for fewer than 640 pairs.
    """
    kept_T = ~(outliers(base_TD) | outliers(candidate_TD))
    base_TD, candidate_TD = base_TD[kept_T], candidate_TD[kept_T]
    fit_N, choice_N, report_N = _split(len(base_TD), seed)
    norm = fit_normalisation(base_TD[fit_N], candidate_TD[fit_N], same_architecture=False)
    splits = [_moments(norm, base_TD[n], candidate_TD[n]) for n in (fit_N, choice_N, report_N)]
    d_base, width = base_TD.shape[1], base_TD.shape[1] + candidate_TD.shape[1]
    base = _Stream(slice(0, d_base), norm.base_mean_D, norm.base_scale)
    candidate = _Stream(slice(d_base, width), norm.candidate_mean_D, norm.candidate_scale)
    root = (width / 2) ** 0.5
    return Stitch(
        _ridge(splits, base, candidate),
        _ridge(splits, candidate, base),
        norm.base_scale * root,
        norm.candidate_scale * root,
    )


def direction_in_other(stitch: Stitch, direction_KD: Tensor, side: SideName) -> Mapped:
    """Directions ``[K, d]`` of the model ``side``, mapped into the other one without the bias."""
    there, back = stitch.base_to_candidate, stitch.candidate_to_base
    scale = stitch.candidate_norm / stitch.base_norm
    if side == "candidate":
        there, back, scale = back, there, 1 / scale
    mapped_KD = direction_KD.float() @ there.weight.T
    wanted_K = scale * direction_KD.float().norm(dim=1)
    tiny = torch.finfo(torch.float32).tiny
    gain_K = mapped_KD.norm(dim=1) / wanted_K.clamp_min(tiny)
    unexplained_K = _along(direction_KD, back.error_DD) / _along(direction_KD, back.variance_DD)
    return Mapped(mapped_KD / gain_K.clamp_min(tiny)[:, None], gain_K, 1 - unexplained_K)


def _split(n_pairs: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rows that fit, that choose the ridge and that are reported."""
    n_blocks = n_pairs // BLOCK
    if n_blocks < FEWEST_BLOCKS:
        raise InputError(
            f"{n_pairs} aligned pairs are too few to stitch two models; harvest more text, "
            f"{FEWEST_BLOCKS * BLOCK} pairs at least and better ten times the models' width"
        )
    order = torch.randperm(n_blocks, generator=torch.Generator().manual_seed(seed))
    rows_NB = order[:, None] * BLOCK + torch.arange(BLOCK)
    held = n_blocks // HELD_OUT
    return (
        rows_NB[2 * held :].flatten(),
        rows_NB[:held].flatten(),
        rows_NB[held : 2 * held].flatten(),
    )


def _moments(norm: Normalisation, base_ND: Tensor, candidate_ND: Tensor) -> Tensor:
    """Second moments, float64, of both models' normalised states side by side."""
    width = base_ND.shape[1] + candidate_ND.shape[1]
    total_DD = torch.zeros(width, width, dtype=torch.float64)
    for base, candidate in zip(base_ND.split(CHUNK), candidate_ND.split(CHUNK), strict=True):
        x_ND = torch.cat([norm.base(base), norm.candidate(candidate)], 1).double()
        total_DD += x_ND.T @ x_ND
    return total_DD / len(base_ND)


def _ridge(splits: list[Tensor], source: _Stream, target: _Stream) -> AffineMap:
    fit_DD, choice_DD, report_DD = splits
    s, t = source.columns, target.columns
    variance_D, axes_DD = torch.linalg.eigh(fit_DD[s, s])
    on_axes_DD = fit_DD[t, s] @ axes_DD

    def normalised_weight(ridge: float) -> Tensor:
        return on_axes_DD / (variance_D + ridge * variance_D.mean()) @ axes_DD.T

    def error(moments_DD: Tensor, weight_DD: Tensor) -> Tensor:
        cross_DD = weight_DD @ moments_DD[s, t]
        mapped_DD = weight_DD @ moments_DD[s, s] @ weight_DD.T
        return moments_DD[t, t] - cross_DD - cross_DD.T + mapped_DD

    best = min(RIDGES, key=lambda r: error(choice_DD, normalised_weight(r)).trace().item())
    weight_DD = normalised_weight(best)
    variance_DD, error_DD = report_DD[t, t], error(report_DD, weight_DD)
    r2 = 1 - (error_DD.trace() / variance_DD.trace()).item()
    weight = (weight_DD * target.scale / source.scale).float()
    bias_D = target.mean_D - weight @ source.mean_D
    return AffineMap(weight, bias_D, best, r2, variance_DD.float(), error_DD.float())


def _along(direction_KD: Tensor, moments_DD: Tensor) -> Tensor:
    return ((direction_KD.float() @ moments_DD) * direction_KD.float()).sum(1)
