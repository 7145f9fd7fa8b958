"""Which directions of the difference move what the candidate says.

Most of the energy of candidate minus base does nothing to the outputs. To first order, what a
difference d at one position adds to the log-probability of the candidate's own answers is g . d, g
the gradient there. With P the projection on some directions, what they don't hold of it has the
square

    (g . d - g . P d)^2  <=  |g|^2 |d|^2 (|d - P d|^2 / |d|^2 + |g - P g|^2 / |g|^2) / 2

since g . (d - P d) = (g - P g) . (d - P d), and a product of two numbers up to 1 is at most their
mean. Summed over positions that is half of what P leaves of the trace of

    A = sum |g|^2 d d' + |d|^2 g g'

so among all subspaces of r dimensions the bound is least for the eigenvectors of A with the r
largest eigenvalues (Ky Fan 1949). The sum of g d' itself would not do: effects of both signs cancel
in it, and directions that carry much more than the whole come first. What is bounded is the sum of
the squares, so a position counts by the square of its effect, and rows by that of their weights.

Within them not every direction moves as much. What is left of a difference, e, moves the answer by
g . e, whose square is e' G e in the mean, G = mean of g g', where g and e are independent. So the
directions are weighted by the root of P G P: lengths are then what an error does to the words.

The same holds for any weighted sum of log-probabilities, such as the score of a probe suite.
Several sums are asked by adding their A and their G, each divided by its trace.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.engines.engine import Engine, Progress, Replay, ScoreRow
from dfc.errors import ModelError

NOTHING = 1e-12
"""Part of the largest eigenvalue up to which another one is a rounding error."""


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
    """Orthonormal rows, the largest eigenvalue first; none where the models don't differ."""
    weighted_RD: Tensor
    """Takes a difference to R numbers whose mean square is what its part in the directions does to
    what was asked, up to one factor: were all as steep, these would be the directions."""
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
    choice_DD, covariance_DD, steep_DD = torch.zeros(3, d, d, dtype=torch.float64)
    effects = []
    total = sum(len(one.rows) for one in asked)
    done = 0
    for one in asked:
        product_DD, bound_DD, gradient_DD = torch.zeros(3, d, d, dtype=torch.float64)
        gained = 0.0
        for group, weights in _by_prompt(one):
            first, second = base.capture(group, layer), candidate.capture(group, layer)
            found = candidate.gradients_between(first, second, weights)
            difference_ND, gradient_ND = found.difference_ND.double(), found.gradient_ND.double()
            product_DD += gradient_ND.T @ difference_ND
            bound_DD += _bound(gradient_ND, difference_ND)
            gradient_DD += gradient_ND.T @ gradient_ND
            covariance_DD += difference_ND.T @ difference_ND
            gained += _gained(candidate, first, second, weights)
            done += len(group)
            if progress is not None:
                progress(done, total)
        if not torch.isfinite(product_DD).all():
            raise ModelError("gradients are not finite; the weights overflow on the way back")
        effects.append((gained, product_DD))
        if bound_DD.any():
            choice_DD += one.share / bound_DD.trace() * bound_DD
        if gradient_DD.any():
            steep_DD += one.share / gradient_DD.trace() * gradient_DD
    bound_D, vector_DD = torch.linalg.eigh(choice_DD)
    least = NOTHING * float(bound_D[-1])
    kept = [n for n in range(d - 1, max(d - 1 - count, -1), -1) if bound_D[n] > least]
    direction_RD = vector_DD[:, kept].T.contiguous()

    def within(square_DD: Tensor) -> float:
        return float(((direction_RD @ square_DD) * direction_RD).sum())

    energy = float(covariance_DD.trace())
    return MovingDirections(
        direction_RD=direction_RD.float(),
        weighted_RD=_weighted(direction_RD, steep_DD).float(),
        asked=[
            Attributed(gained, float(product_DD.trace()), within(product_DD))
            for gained, product_DD in effects
        ],
        energy=within(covariance_DD) / energy if energy else None,
    )


def _weighted(direction_RD: Tensor, steep_DD: Tensor) -> Tensor:
    """The directions taken to lengths in the form ``steep_DD``, whose mean within them is one."""
    steep_RR = direction_RD @ steep_DD @ direction_RD.T
    if not steep_RR.any():
        return direction_RD
    value_R, vector_RR = torch.linalg.eigh(steep_RR / steep_RR.diagonal().mean())
    return vector_RR * value_R.clamp_min(0.0).sqrt() @ vector_RR.T @ direction_RD


def _gained(engine: Engine, first: Replay, second: Replay, weights: Sequence[float]) -> float:
    """What the rows' weighted log-probability gains from the first to the second, in nats."""
    before, after = engine.score_from(first), engine.score_from(second)
    rows = zip(weights, second.rows, before, after, strict=True)
    return sum(w * len(row.completion) * (new - old) for w, row, old, new in rows)


def _bound(gradient_ND: Tensor, difference_ND: Tensor) -> Tensor:
    """A of these positions [D, D]."""
    weighted_ND = gradient_ND.pow(2).sum(1, keepdim=True) * difference_ND
    steep_ND = difference_ND.pow(2).sum(1, keepdim=True) * gradient_ND
    return weighted_ND.T @ difference_ND + steep_ND.T @ gradient_ND


def _by_prompt(asked: Asked) -> Iterator[tuple[list[ScoreRow], list[float]]]:
    """Rows in a row that have one prompt, with their weights: at its positions their gradients add
    up, as they do in the sum. So no other grouping may decide the directions."""
    weighted = zip(asked.rows, asked.weights, strict=True)
    for _, group in groupby(weighted, key=lambda one: one[0].prompt):
        rows, weights = zip(*group, strict=True)
        yield list(rows), list(weights)
