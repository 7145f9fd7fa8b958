"""The severity score as a test that tells planted from benign updates: the area, and the curve."""

from collections.abc import Sequence
from statistics import fmean

from deploy.bench.zoo.figures import Row


def auc(positive: Sequence[float], negative: Sequence[float]) -> float | None:
    """The share of pairs in which the positive scores higher, ties by half; None without pairs."""
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    return fmean(pairs) if pairs else None


def roc(positive: Sequence[float], negative: Sequence[float]) -> list[dict[str, float]]:
    """For every score as a threshold the share of each kind that reaches it; none without both."""
    if not positive or not negative:
        return []
    return [
        {
            "score": score,
            "true_rate": fmean(p >= score for p in positive),
            "false_rate": fmean(n >= score for n in negative),
        }
        for score in sorted({*positive, *negative}, reverse=True)
    ]


def scores(rows: Sequence[Row]) -> list[float]:
    """None at all where one is missing: whoever could not be scored may have been the exception."""
    known = [row.score for row in rows if row.score is not None]
    return known if len(known) == len(rows) else []
