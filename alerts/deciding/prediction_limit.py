"""How far one more release will move every score, as far as those before it tell."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

LEAST_SCORES = 3
"""From so many on their spreads say something of each other."""

Floats = NDArray[np.float64]


def prediction_limits(known: Mapping[str, Sequence[float]], alpha: float) -> dict[str, float]:
    """By score the limit below which one more release stays; on all scores together, but for a
    chance of about `alpha`, in the mean over lines.

        mean + t(1 - alpha / scores, d0 + d) * s * sqrt(1 + 1 / n)
        s^2 = (d0 * s0^2 + d * sd^2) / (d0 + d),  d = n - 1

    One-sided, for releases that are draws from a normal distribution (Hahn, Technometrics 11,
    1969), with the chance divided among the scores. Few releases say little of the spread of one
    score, but the scores are of one kind: each variance is drawn towards what all have in common,
    s0^2, as if that rested on d0 releases more, and d0 is the larger the more alike they are
    (moderated variances, Smyth, Stat. Appl. Genet. Mol. Biol. 3, 2004, section 6.2). Degrees of
    freedom count no more than those of all scores together. Scores with fewer than two releases get
    no limit. How far the chance holds is in docs/method.md.
    """
    # Not at the top: who only reads what was found must not wait for scipy.
    from scipy.special import stdtrit

    scores = {name: np.asarray(values) for name, values in known.items() if len(values) > 1}
    if not scores:
        return {}
    n_S = np.array([len(values) for values in scores.values()], dtype=np.float64)
    mean_S = np.array([values.mean() for values in scores.values()])
    variance_S = np.array([values.var(ddof=1) for values in scores.values()])
    d_S = n_S - 1.0
    d0, common = _prior(variance_S, d_S)
    df_S = np.minimum(d0 + d_S, d_S.sum())
    if np.isinf(d0):
        spread_S = np.full_like(variance_S, common)
    else:
        spread_S = (d0 * common + d_S * variance_S) / (d0 + d_S)
    quantile_S = stdtrit(df_S, 1.0 - alpha / len(scores))
    limit_S = mean_S + quantile_S * np.sqrt(spread_S * (1.0 + 1.0 / n_S))
    return dict(zip(scores, limit_S.tolist(), strict=True))


def _prior(variance_S: Floats, d_S: Floats) -> tuple[float, float]:
    """d0 and s0^2: moments of the logarithms of the variances, of which each is F-distributed."""
    from scipy.special import digamma, polygamma

    if len(variance_S) < LEAST_SCORES or not np.median(variance_S):
        return 0.0, 0.0
    floored_S = np.maximum(variance_S, 1e-5 * np.median(variance_S))
    e_S = np.log(floored_S) - digamma(d_S / 2) + np.log(d_S / 2)
    excess = float(e_S.var(ddof=1) - polygamma(1, d_S / 2).mean())
    if excess <= 0.0:  # they differ no more than by chance
        return np.inf, float(np.exp(e_S.mean()))
    half = _inverse_trigamma(excess)
    return 2.0 * half, float(np.exp(e_S.mean() + digamma(half) - np.log(half)))


def _inverse_trigamma(value: float) -> float:
    """By Newton's method on 1 / trigamma, which is nearly straight (Smyth, appendix)."""
    from scipy.special import polygamma

    y = 0.5 + 1.0 / value
    for _ in range(50):
        trigamma = polygamma(1, y)
        step = trigamma * (1.0 - trigamma / value) / polygamma(2, y)
        y += step
        if -step / y < 1e-8:
            break
    return float(y)
