"""Whether two features that were found apart are one: by what they write and by where they fire."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.engines.engine import FeatureBank
from dfc.screening.firing import firing
from dfc.screening.similarity import correlations, cosines

SAME = 0.5
"""From this likeness on two features count as one: of 180 features of six updates one pair was as
alike across updates, and two trainings on one update agree on one feature in four
(docs/method.md)."""


class Likeness(NamedTuple):
    """Of every pair of features, some here and some elsewhere ``[R, J]``."""

    cosine_RJ: Tensor
    """Of what they write."""
    correlation_RJ: Tensor
    """Of their activations on the same states."""

    @property
    def agreement(self) -> Tensor:
        """The lesser of the two ``[R, J]``. Features of different updates may fire alike, such as
        on the end of every answer, and write something else; neither is enough by itself."""
        return torch.minimum(self.cosine_RJ, self.correlation_RJ)


def likeness(bank: FeatureBank, rows: Sequence[int], other: FeatureBank, x_TD: Tensor) -> Likeness:
    """How like the features ``rows`` of ``bank`` are to all of ``other``, on raw states ``[T, d]``
    at the layer of both."""
    decoder_RD = bank.decoder_KD[list(rows)].float()
    return Likeness(
        cosines(decoder_RD, other.decoder_KD.float()),
        correlations(firing(bank, rows, x_TD), firing(other, range(len(other.decoder_KD)), x_TD)),
    )
