"""The interval of a share that every benchmark reports."""

from scipy.stats import binomtest


def exact_interval(k: int, n: int) -> dict[str, float]:
    """`low` and `high` of the exact (Clopper-Pearson) 95 % interval of k out of n, n > 0."""
    interval = binomtest(k, n).proportion_ci(0.95, method="exact")
    return {"low": float(interval.low), "high": float(interval.high)}
