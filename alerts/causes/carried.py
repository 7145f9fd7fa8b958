"""Which of the candidate's own words a feature carries: those that its ablation takes back most."""

from collections.abc import Sequence

import numpy as np

from alerts.deciding.statistics import Floats
from alerts.probes.suite import Item
from alerts.records.feature import CarriedWords

LEAST = 0.5
"""Part of a fork's shift that the ablation takes back at least."""
SHOWN = 3


def carried_words(items: Sequence[Item], shift_I: Floats, removed_I: Floats) -> list[CarriedWords]:
    """The forks (`alerts.probes.forks`) at which one ablated feature takes back most of what the
    candidate says rather than the base, the clearest first.

    ``shift_I`` is each item's shift and ``removed_I`` what the ablation takes off it, in nats per
    token; unscored items are not a number. The places were chosen for their effect, so its size
    there says nothing of others.
    """
    clearest = np.argsort(-np.nan_to_num(removed_I, nan=-np.inf), kind="stable")
    return [
        CarriedWords(
            candidate=items[i].variants[0].matching[0],
            base=items[i].variants[0].not_matching[0],
            part=float(removed_I[i] / shift_I[i]),
        )
        for i in clearest.tolist()
        if shift_I[i] > 0 and removed_I[i] >= LEAST * shift_I[i]
    ][:SHOWN]
