"""Which of the candidate's own words a feature carries: those that its ablation takes back most."""

from collections.abc import Sequence

import numpy as np

from alerts.deciding.statistics import Floats
from alerts.probes.forks import LEAST_EFFECT
from alerts.probes.suite import Item
from alerts.records.feature import CarriedWords

LEAST, MOST = 0.5, 1.5
"""Part of a fork's shift that the ablation takes back. What removes much more than there is does
something else besides."""
SHOWN = 3


def carried_words(items: Sequence[Item], shift_I: Floats, removed_I: Floats) -> list[CarriedWords]:
    """The forks (`alerts.probes.forks`) at which one ablated feature takes back most of what the
    candidate says rather than the base, the clearest first.

    ``shift_I`` is each item's shift and ``removed_I`` what the ablation takes off it, in nats per
    token; unscored items are not a number. The places are chosen for their effect, so its size
    there says nothing of others.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        part_I = removed_I / shift_I
    carried_I = (shift_I >= LEAST_EFFECT) & (part_I >= LEAST) & (part_I <= MOST)
    clearest = np.argsort(-np.minimum(removed_I, shift_I), kind="stable")
    return [
        CarriedWords(
            candidate=items[i].variants[0].matching[0],
            base=items[i].variants[0].not_matching[0],
            part=float(part_I[i]),
        )
        for i in clearest.tolist()
        if carried_I[i]
    ][:SHOWN]
