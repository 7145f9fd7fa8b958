"""The greedy choice of edits that together bring a suite nearest to the base's scores."""

from collections.abc import Callable, Sequence

import numpy as np

from alerts.deciding.statistics import Floats

BEST = 5
"""Edits in the set whose effect the verdict names."""
LEAST_GAIN = 0.01
"""Part of what is left over that one more edit has to take away."""


def choose(
    removed_RI: Floats, shift_I: Floats, bearable: Callable[[Sequence[int]], bool]
) -> list[int]:
    """At most five edits that together leave little over, in the order in which they were chosen:
    each is the one with which least is left, until none takes away as much as the least gain.

    ``removed_RI`` is what each edit takes off each item, and what several do adds up. Left over is
    the mean square, over the items, of what stays of their shifts: were the mean of all items to
    come nearest to the base's, what removes too much of one item and too little of another would
    count as done, and not carry over to other items.

    Where the five are not ``bearable`` together, they are chosen again: then an edit with which the
    set is not is never taken.
    """
    chosen = _choose(removed_RI, shift_I, lambda _: True)
    return chosen if not chosen or bearable(chosen) else _choose(removed_RI, shift_I, bearable)


def _choose(
    removed_RI: Floats, shift_I: Floats, bearable: Callable[[Sequence[int]], bool]
) -> list[int]:
    chosen: list[int] = []
    rest_I = shift_I
    while len(chosen) < BEST:
        left = _mean_square(rest_I)
        tried = sorted(
            (_mean_square(rest_I - removed_I), edit)
            for edit, removed_I in enumerate(removed_RI)
            if edit not in chosen
        )
        nearer = (edit for now, edit in tried if now < (1 - LEAST_GAIN) * left)
        best = next((edit for edit in nearer if bearable([*chosen, edit])), None)
        if best is None:
            break
        chosen.append(best)
        rest_I = rest_I - removed_RI[best]
    return chosen


def _mean_square(left_I: Floats) -> float:
    """Over the items that have a score."""
    return float(np.nanmean(left_I**2))
