"""The greedy choice of edits that together bring a suite nearest to the base's scores."""

from collections.abc import Callable, Sequence

BEST = 5
"""Edits in the set whose effect the verdict names."""
LEAST_GAIN = 0.01
"""Part of what is left over that one more edit has to take away."""


def choose(
    pool: Sequence[int],
    left_over: Callable[[Sequence[int]], float],
    bearable: Callable[[Sequence[int]], bool],
) -> list[int]:
    """At most the best five rows of a pool, in the order in which they were chosen: each is the one
    that leaves least over, until none takes away as much as the least gain.

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
        for now, row in nearer:
            if bearable([*chosen, row]):
                left = now
                chosen.append(row)
                break
        else:
            break
    return chosen
