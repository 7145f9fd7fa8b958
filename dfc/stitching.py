"""Affine maps between the residual streams of two models, to ask whether the other one has a
direction too."""

from typing import Literal, NamedTuple

from torch import Tensor

Side = Literal["base", "candidate"]


class AffineMap(NamedTuple):
    """``x @ weight.T + bias`` takes a state of the source to the target, in raw residual units."""

    weight: Tensor
    """``[d_target, d_source]``, float32."""
    bias_D: Tensor
    r2: float
    """Variance of the target that the map explains on pairs it was not fitted on."""


class Stitch(NamedTuple):
    """Both maps between the residual streams of two models."""

    base_to_candidate: AffineMap
    candidate_to_base: AffineMap


def fit_stitch(base_TD: Tensor, candidate_TD: Tensor, *, seed: int) -> Stitch:
    """Fit both maps on aligned states ``[T, d_base]`` and ``[T, d_candidate]``."""
    raise NotImplementedError


def direction_in_other(stitch: Stitch, direction_KD: Tensor, side: Side) -> Tensor:
    """Directions ``[K, d]`` of the model ``side``, mapped into the other model without the bias."""
    raise NotImplementedError
