"""Does the other model carry an exclusive latent after all, when the two have no common space?

Latent scaling (Minder et al. 2025, arXiv 2504.02922) scales the latent's own decoder row on two
targets: the other model's residual and its activations. Across architectures that row means nothing
there, so directions are fitted instead. On the activations even that would not do: a latent fires
on some tokens, and any model has states of their own for those, whatever it knows of the concept.
There it is asked the other way round, whether the activations tell when the latent fires.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dfc.screening.readout import read_out

BLOCK = 128
"""Neighbouring tokens that stay in one half: the halves are alternate blocks, so that both see
every part of the corpus."""

FEWEST = 5
"""Strong activations in each half below which single tokens decide and nothing is measured."""

LEAST_READ = 0.05
"""Part of a latent's variance that its own model's activations must tell; of less there is no
part to compare."""


class CrossScaling(NamedTuple):
    """Per latent what the other model carries of it, relative to what its own model does.

    0 = nothing, 1 = as much; both are at least 0 and never NaN. ``inf`` means not measurable, so
    that an upper bound is never passed unmeasured: the latent is constant or almost silent in one
    half of the tokens, or its contribution brings its own model no nearer.
    """

    error_K: Tensor
    """Of the other model's residual: high when the crosscoder left out there a concept that both
    models have (complete shrinkage)."""

    readout_K: Tensor
    """Of the other model's activations, how well they tell the latent: high also when other latents
    write the concept there (latent decoupling), which the residual cannot show."""


@torch.no_grad()
def cross_scaling(
    code_TK: Tensor,
    own_TD: Tensor,
    other_TD: Tensor,
    other_residual_TD: Tensor,
    own_decoder_KD: Tensor,
) -> CrossScaling:
    """Ratios for the exclusive latents of one model, on token-aligned normalised activations.

    ``code_TK`` are their selected activations, ``own_TD`` the activations that they are encoded
    from and ``own_decoder_KD`` the rows that they write there; ``other_TD`` may have another width
    and ``other_residual_TD`` is what the crosscoder leaves of it. With u(y) the least-squares
    direction of f on y (with an intercept), u1 and u2 those of two halves of the tokens, and R^2(y)
    how well y tells f (``read_out``),

        error   = <u1(residual), u2(residual)> / |other|^2 : (2 <w, u(own)> - |w|^2) / |own|^2
        readout = R^2(other) : R^2(own)

    where w is the decoder row and |.|^2 a variance. f is kept where it is at least its median over
    the tokens on which it fires, and zero elsewhere: where concepts outnumber dimensions, weak
    activations are mostly interference from concepts that the other model has too. The upper part
    is the energy of the direction that one half predicts and the other confirms: chance adds
    nothing to it on average, however seldom the latent fires. The lower part is what f w takes
    from its own model. Amplitude and rotation do not matter to the read-out; noise does.
    """
    first_T = (torch.arange(len(code_TK)) // BLOCK) % 2 == 0
    halves = (first_T, ~first_T)
    code_TK = _strong(code_TK)
    known_K = torch.stack([_measurable(code_TK[half]) for half in halves]).all(0)
    own_slope_KD = _slope(code_TK, own_TD)
    gain_K = (own_decoder_KD * (2 * own_slope_KD - own_decoder_KD)).sum(1) / _variance(own_TD)
    known_K &= gain_K > 0
    first_KD, second_KD = (_slope(code_TK[half], other_residual_TD[half]) for half in halves)
    carried_K = (first_KD * second_KD).sum(1).clamp_min(0) / _variance(other_TD)
    told_K, own_told_K = (read_out(code_TK, x_TD, first_T) for x_TD in (other_TD, own_TD))
    readable_K = known_K & (own_told_K >= LEAST_READ)
    return CrossScaling(
        torch.where(known_K, carried_K / gain_K, torch.inf),
        torch.where(readable_K, told_K.clamp_min(0) / own_told_K, torch.inf),
    )


def _slope(code_NK: Tensor, target_ND: Tensor) -> Tensor:
    """Direction per latent that explains most of the target; zero for one that does not vary."""
    centred_NK = code_NK.float() - code_NK.float().mean(0)
    square_K = centred_NK.pow(2).sum(0)
    tiny = torch.finfo(square_K.dtype).tiny
    return (centred_NK.T @ target_ND.float()) / square_K.clamp_min(tiny)[:, None]


def _strong(code_TK: Tensor) -> Tensor:
    """Activations below the latent's median where it fires set to zero."""
    firing = (column[column > 0] for column in code_TK.T)
    medians = [column.median().item() if len(column) else 0.0 for column in firing]
    return code_TK * (code_TK >= torch.tensor(medians, dtype=code_TK.dtype))


def _measurable(code_NK: Tensor) -> Tensor:
    if not len(code_NK):
        return torch.zeros(code_NK.shape[1], dtype=torch.bool)
    return ((code_NK > 0).sum(0) >= FEWEST) & (code_NK.amax(0) > code_NK.amin(0))


def _variance(x_TD: Tensor) -> Tensor:
    return x_TD.float().var(0, correction=0).sum()
