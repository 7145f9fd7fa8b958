"""Which directions of the difference move what the candidate says.

Most of the energy of candidate minus base does nothing to the outputs. To first order, what a
difference d at one position adds to the log-probability of the candidate's own answers is g . d, g
the gradient there. Removing the component of d along a unit direction u takes (g . u)(u . d) of it
away; summed over positions that is u' S u with S the symmetric part of sum g d'. So among all
subspaces of r dimensions the one that carries most of the effect is spanned by the eigenvectors of
S with the r largest eigenvalues (Ky Fan 1949).

The same holds for any weighted sum of log-probabilities, such as the score of a probe suite.
Several sums are asked by adding their S, each divided by its trace: by what the whole difference
does to it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.engines.engine import Engine, Progress, ScoreRow
from dfc.errors import ModelError

ROWS_AT_ONCE = 8
"""Rows whose backward pass is held in memory."""


class Asked(NamedTuple):
    """A weighted sum of log-probabilities that the update has moved."""

    rows: Sequence[ScoreRow]
    weights: Sequence[float]
    """Of each row's log-probability, summed over its tokens."""
    share: float = 1.0
    """Its say in the choice of the directions."""


class Attributed(NamedTuple):
    """What moves one of the sums, in nats."""

    gained: float
    """What it gains with the candidate's states."""
    attributed: float
    """What of it the gradients account for."""
    carried: float
    """What of that the directions carry."""


class MovingDirections(NamedTuple):
    """The subspace of the difference that moves what was asked."""

    direction_RD: Tensor
    """Orthonormal rows, the most effective first; none where the models don't differ."""
    asked: list[Attributed]
    """In the order in which it was asked."""
    energy: float | None
    """The directions' share of the energy of the difference; None where there is none."""


def moving_directions(
    base: Engine,
    candidate: Engine,
    asked: Sequence[Asked],
    layer: int,
    count: int,
    progress: Progress | None = None,
) -> MovingDirections:
    """At most ``count`` directions after block ``layer``.

    Both models need one width and tokenizer. Raises ModelError when a gradient is not finite.
    """
    d = candidate.info.d_model
    choice_DD, covariance_DD = torch.zeros(2, d, d, dtype=torch.float64)
    effects = []
    total = sum(len(one.rows) for one in asked)
    done = 0
    for one in asked:
        product_DD = torch.zeros(d, d, dtype=torch.float64)
        gained = 0.0
        for start in range(0, len(one.rows), ROWS_AT_ONCE):
            group = one.rows[start : start + ROWS_AT_ONCE]
            found = candidate.gradients_between(
                base.capture(group, layer),
                candidate.capture(group, layer),
                one.weights[start : start + ROWS_AT_ONCE],
            )
            difference_ND = found.difference_ND.double()
            product_DD += found.gradient_ND.double().T @ difference_ND
            covariance_DD += difference_ND.T @ difference_ND
            gained += found.log_probability
            done += len(group)
            if progress is not None:
                progress(done, total)
        if not torch.isfinite(product_DD).all():
            raise ModelError("gradients are not finite; the weights overflow on the way back")
        effect = float(product_DD.trace())
        effects.append((gained, effect, product_DD))
        if effect:
            choice_DD += one.share / abs(effect) * product_DD
    effect_D, vector_DD = torch.linalg.eigh((choice_DD + choice_DD.T) / 2)
    kept = [n for n in range(d - 1, max(d - 1 - count, -1), -1) if effect_D[n] > 0]
    direction_RD = vector_DD[:, kept].T.contiguous()

    def within(square_DD: Tensor) -> float:
        return float(((direction_RD @ square_DD) * direction_RD).sum())

    energy = float(covariance_DD.trace())
    return MovingDirections(
        direction_RD=direction_RD.float(),
        asked=[Attributed(gained, effect, within(s_DD)) for gained, effect, s_DD in effects],
        energy=within(covariance_DD) / energy if energy else None,
    )
