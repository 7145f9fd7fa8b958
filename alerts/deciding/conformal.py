"""Empirical nulls: how unusual a score is beside scores that are known to mean nothing.

No distribution is assumed. What is assumed is exchangeability: if the candidate means nothing, its
score is as likely to take any place among the nulls as any of them (Vovk, Gammerman and Shafer,
Algorithmic Learning in a Random World, 2005, chapter 2). Copies of a model that differ only in
numerical noise stand for a candidate that was only exported anew, accepted releases for one that
was trained on with care.
"""

import math
from collections.abc import Sequence


def conformal_p(score: float | None, nulls: Sequence[float]) -> float | None:
    """(1 + number of nulls >= `score`) / (n + 1): P(p <= a) <= a for an exchangeable score.

    Never below `smallest_p`. None without a score or without nulls. A null equal to the score
    counts, so that ties never make a score look more unusual than it is.
    """
    if score is None or not nulls:
        return None
    return (1 + sum(null >= score for null in nulls)) / (len(nulls) + 1)


def smallest_p(n_nulls: int) -> float | None:
    """The least p that `n_nulls` nulls allow: 1 / (n + 1). None without nulls."""
    return 1 / (n_nulls + 1) if n_nulls else None


def conformal_threshold(nulls: Sequence[float], alpha: float) -> float | None:
    """The score that one more null exceeds with a chance of at most `alpha`.

    The ceil((1 - alpha)(n + 1))-th smallest null. Where n < 1 / alpha - 1 there is no such rank:
    the largest null stands in for it, which one more null exceeds with a chance of 1 / (n + 1).
    None without nulls.
    """
    if not nulls:
        return None
    rank = math.ceil(round((1 - alpha) * (len(nulls) + 1), 9))
    return sorted(nulls)[min(rank, len(nulls)) - 1]
