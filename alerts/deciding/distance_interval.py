"""How certain it is, over templates, how much of a distance an edit takes away."""

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from alerts.deciding.resampling import CONFIDENCE, Floats
from alerts.deciding.statistics import template_totals

NOTHING = 1e-12
"""Part of the squared distance up to which what is left is a rounding error."""
LEAST_TEMPLATES = 3


def distance_interval(
    left_I: Floats, whole_I: Floats, templates: Sequence[str]
) -> tuple[float, float] | None:
    """95 % interval of 1 - sqrt(sum(left) / sum(whole)) over items, squares [n_items] each.

    Student's t on the logarithm of the root, whose spread is that of the jackknife over templates
    (Miller 1974): the root of a ratio of skewed sums is itself skewed, its logarithm less so.
    Simulated with 8 to 24 templates, it held the truth in 92 to 95 of 100 cases, by other code in
    89 to 94, the fewer where shifts are skewed and vary as much as their mean; where nothing was
    taken away it lay above 0 in at most 4. None when the items scored in both come from fewer than
    three templates, with which it says next to nothing, or have not moved without one of them.
    """
    scored_I = np.isfinite(left_I) & np.isfinite(whole_I)
    left_C, whole_C = (
        template_totals(x_I[scored_I], templates, scored_I)[0] for x_I in (left_I, whole_I)
    )
    count = len(left_C)
    if count < LEAST_TEMPLATES:
        return None
    # Without each template in turn, and last of all with all of them.
    left_N = left_C.sum() - np.append(left_C, 0.0)
    whole_N = whole_C.sum() - np.append(whole_C, 0.0)
    if not (whole_N > NOTHING * whole_N[-1]).all() or whole_N[-1] <= 0.0:
        return None
    log_N = np.log(np.maximum(left_N / whole_N, NOTHING)) / 2
    error = np.sqrt(count - 1) * log_N[:-1].std()
    half = stdtrit(count - 1, (1 + CONFIDENCE) / 2) * error
    return float(1 - np.exp(log_N[-1] + half)), float(1 - np.exp(log_N[-1] - half))
