"""Codes of two alike streams by half the product: all are bounded, and only few are computed.

With encoders a and b of a latent and states x and y of two models at a token,

    a·x + b·y = (a + b)·(x + y) / 2 + (a - b)·(x - y) / 2

and the last term is at most ‖a - b‖ ‖x - y‖ / 2 (Cauchy and Schwarz). Where a checkpoint is
compared with its predecessor, the states are nearly equal, so that few codes can be among the
largest and are not. The bound of all codes is one product: of the sums, with one column more.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dfc.crosscoder.active import Entries

LOOSE = 0.1
"""From what the last term may reach, as a part of what the first one may, nothing is won."""


class Bounds(NamedTuple):
    """The product of the first two bounds the codes, which have no bias yet."""

    x_BD: Tensor
    """Means of the states, and half the length of their differences: ``[B, d + 1]``."""
    encoder_FD: Tensor
    """Sums of the encoders, and the length of their differences: ``[F, d + 1]``."""
    half_BD: Tensor
    """Half the differences of the states."""
    apart_FD: Tensor
    """Differences of the encoders."""

    @property
    def part(self) -> tuple[Tensor, Tensor]:
        """What makes the bounds, as if it were states and encoder of one model."""
        return self.x_BD, self.encoder_FD

    def means(self, bound_CF: Tensor, rows: slice) -> Tensor:
        """The first term of some tokens, from their bounds: it errs to both sides alike."""
        return bound_CF - self.x_BD[rows, -1:] * self.encoder_FD[:, -1]

    def exactly(self, bound_N: Tensor, where: Entries) -> Tensor:
        """The codes ``[N]`` at some places, from their bounds."""
        reach_N = self.x_BD[where.row_N, -1] * self.encoder_FD[where.column_N, -1]
        return bound_N - reach_N + where.products(self.half_BD, self.apart_FD)


def bounds(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Bounds | None:
    """Of the states ``[B, d]`` and the encoder ``[F, d]`` of either model; None where the streams
    are not alike enough, or not equally wide."""
    (x_BD, a_FD), (y_BD, b_FD) = first, second
    if x_BD.shape != y_BD.shape:
        return None
    half_BD, apart_FD = (x_BD - y_BD).div_(2), a_FD - b_FD
    mean_BD, sum_FD = (one.new_empty(len(one), one.shape[1] + 1) for one in (x_BD, a_FD))
    torch.sub(x_BD, half_BD, out=mean_BD[:, :-1])
    torch.add(a_FD, b_FD, out=sum_FD[:, :-1])
    mean_BD[:, -1], sum_FD[:, -1] = half_BD.norm(dim=1), apart_FD.norm(dim=1)
    reached = mean_BD[:, -1].mean() * sum_FD[:, -1].mean()
    reachable = mean_BD[:, :-1].norm(dim=1).mean() * sum_FD[:, :-1].norm(dim=1).mean()
    return Bounds(mean_BD, sum_FD, half_BD, apart_FD) if reached <= LOOSE * reachable else None
