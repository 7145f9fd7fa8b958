"""What ablations take off a suite's items to first order, so that many can be compared at once.

Let g be the gradient of an item's score at the state of one position and f how strongly a feature
fires there. Taking f w away takes f g . w off the score, to first order, summed over positions. So
the texts are read once, for every feature and for any direction that it might write instead.

The gradients are taken halfway between the models' states, where the first order accounts for the
shift best (``dfc.locating.attribution``); between architectures, which have no such place, at the
candidate's own.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from alerts.causes.pair import Pair
from alerts.deciding.statistics import Floats
from alerts.probes.probe import score_weights, suite_rows
from alerts.probes.suite import Suite
from dfc.engines.engine import FeatureBank
from dfc.screening.firing import firing


class _Item(NamedTuple):
    gradient_ND: Tensor
    x_ND: Tensor
    """The candidate's state."""


class ItemGradients:
    """The gradient of each item's score at every position that an edit may touch."""

    def __init__(self, models: Pair, suite: Suite, layer: int) -> None:
        self._items = [
            _read(models, suite.model_copy(update={"items": (item,)}), layer)
            for item in suite.items
        ]

    def removed(self, bank: FeatureBank, rows: Sequence[int]) -> Floats:
        """What ablating each of the bank's ``rows`` by itself takes off each item ``[R, I]``, in
        nats per token."""
        decoder_RD = bank.decoder_KD[rows].float()
        removed = [
            (firing(bank, rows, item.x_ND) * (item.gradient_ND @ decoder_RD.T)).sum(0)
            for item in self._items
        ]
        return torch.stack(removed, dim=1).double().numpy()


def _read(models: Pair, item: Suite, layer: int) -> _Item:
    rows = suite_rows(models.candidate, item)
    own = models.candidate.capture(rows, layer)
    first = models.base.capture(rows, layer) if models.view is None else own
    found = models.candidate.gradients_between(first, own, score_weights(item, rows))
    return _Item(found.gradient_ND, found.second_ND)
