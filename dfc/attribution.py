"""Which directions of the difference move what the candidate says.

Most of the energy of candidate minus base does nothing to the outputs. To first order, what a
difference d at one position adds to the log-probability of the candidate's own answers is g . d, g
the gradient there. Removing the component of d along a unit direction u takes (g . u)(u . d) of it
away; summed over positions that is u' S u with S the symmetric part of sum g d'. So among all
subspaces of r dimensions the one that carries most of the effect is spanned by the eigenvectors of
S with the r largest eigenvalues (Ky Fan 1949). No probe suite is asked.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.engine import Engine, Progress, ScoreRow
from dfc.errors import ModelError

ROWS_AT_ONCE = 8
"""Rows whose backward pass is held in memory."""


class MovingDirections(NamedTuple):
    """The subspace of the difference that moves the candidate's words."""

    direction_RD: Tensor
    """Orthonormal rows, the most effective first; none where the models don't differ."""
    gained: float
    """What the answers' summed log-probability gains with the candidate's states, in nats."""
    attributed: float
    """What of it the gradients account for, in nats."""
    carried: float
    """What of that the directions carry, in nats."""
    energy: float | None
    """Their share of the energy of the difference; None where there is none."""


def moving_directions(
    base: Engine,
    candidate: Engine,
    rows: Sequence[ScoreRow],
    layer: int,
    count: int,
    progress: Progress | None = None,
) -> MovingDirections:
    """At most ``count`` directions after block ``layer``; ``rows`` are the candidate's own answers.

    Both models need one width and tokenizer. Raises ModelError when a gradient is not finite.
    """
    d = candidate.info.d_model
    product_DD, covariance_DD = torch.zeros(2, d, d, dtype=torch.float64)
    gained = 0.0
    for start in range(0, len(rows), ROWS_AT_ONCE):
        group = rows[start : start + ROWS_AT_ONCE]
        found = candidate.gradients_between(
            base.capture(group, layer), candidate.capture(group, layer)
        )
        difference_ND = found.difference_ND.double()
        product_DD += found.gradient_ND.double().T @ difference_ND
        covariance_DD += difference_ND.T @ difference_ND
        gained += found.log_probability
        if progress is not None:
            progress(min(start + ROWS_AT_ONCE, len(rows)), len(rows))
    if not torch.isfinite(product_DD).all():
        raise ModelError("gradients are not finite; the weights overflow on the way back")
    effect_D, vector_DD = torch.linalg.eigh((product_DD + product_DD.T) / 2)
    kept = [n for n in range(d - 1, max(d - 1 - count, -1), -1) if effect_D[n] > 0]
    direction_RD = vector_DD[:, kept].T.contiguous()
    energy = float(covariance_DD.trace())
    carried = float(((direction_RD @ covariance_DD) * direction_RD).sum())
    return MovingDirections(
        direction_RD=direction_RD.float(),
        gained=gained,
        attributed=float(product_DD.trace()),
        carried=float(effect_D[kept].sum()),
        energy=carried / energy if energy else None,
    )
