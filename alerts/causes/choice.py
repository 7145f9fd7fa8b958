"""The greedy choice of edits that together bring a suite nearest to the base's scores."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

BEST = 5
"""Edits in the set whose effect the verdict names."""
LEAST_GAIN = 0.01
"""Part of what is left over that one more edit has to take away."""


class Choice(NamedTuple):
    """At most the best five of a pool."""

    rows: list[int]
    """In the order in which they were chosen; none where none brings the suite nearer."""
    unbearable: bool
    """None was chosen although some bring it nearer: each of these costs too much."""


def choose(
    pool: Sequence[int],
    left_over: Callable[[Sequence[int]], float],
    bearable: Callable[[Sequence[int]], bool],
) -> Choice:
    """Add the row that leaves least over, until none takes away as much as the least gain.

    ``left_over`` says of a set of rows, the empty one too, how far the items' scores stay from the
    base's. It is asked of the items one by one: were the mean of all items to come nearest, what
    removes too much of one item and too little of another would count as done, and not carry over
    to other items. A row with which the set is not ``bearable`` is not taken.
    """
    chosen: list[int] = []
    left = left_over(chosen)
    while len(chosen) < BEST:
        tried = sorted((left_over([*chosen, row]), row) for row in pool if row not in chosen)
        nearer = [(now, row) for now, row in tried if now < (1 - LEAST_GAIN) * left]
        taken = next(((now, row) for now, row in nearer if bearable([*chosen, row])), None)
        if taken is None:
            return Choice(chosen, unbearable=bool(nearer) and not chosen)
        left, row = taken
        chosen.append(row)
    return Choice(chosen, unbearable=False)
