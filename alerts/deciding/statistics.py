"""Is a behaviour's shift real? Paired, clustered by template, without distributional formulas.

The items of a suite come from a few templates, and items of one template move together. So whole
templates are resampled and whole templates are flipped; the number of templates, not of items, is
the sample size. Non-finite scores mark items that could not be scored: a pair with one is left out
and counted, never filled in.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alerts.deciding.noise import NotMeasurableError
from alerts.deciding.resampling import Floats, cluster_bootstrap, sign_flip

RESEEDS = range(5)
"""Seeds of the resampling that are compared."""


class Shift(NamedTuple):
    """Candidate minus base over the items scored in both models, in the unit of the scores."""

    shift: float
    ci_low: float
    ci_high: float
    p: float
    base_score: float
    candidate_score: float
    n_items: int
    n_unscored: int
    n_templates: int
    n_bootstrap: int
    n_flips: int


def paired_shift(
    base_scores: ArrayLike,
    candidate_scores: ArrayLike,
    templates: Sequence[str],
    seed: int = 0,
    n_bootstrap: int = 10_000,
) -> Shift:
    """Mean difference of paired item scores, its 95 % interval and its one-sided p (shift > 0).

    `base_scores` and `candidate_scores` are [n_items], `templates` names each item's template.
    Raises NotMeasurableError when the items scored in both models come from fewer than two
    templates, and ValueError when the lengths differ. The same seed gives the same result.
    """
    base_I = np.asarray(base_scores, dtype=np.float64)
    candidate_I = np.asarray(candidate_scores, dtype=np.float64)
    if not base_I.shape == candidate_I.shape == (len(templates),):
        raise ValueError(
            f"base scores {base_I.shape}, candidate scores {candidate_I.shape} and "
            f"{len(templates)} templates do not belong to the same items"
        )
    scored_I = np.isfinite(base_I) & np.isfinite(candidate_I)
    sums_C, counts_C = template_totals(
        candidate_I[scored_I] - base_I[scored_I], templates, scored_I
    )
    n_items = int(scored_I.sum())
    if len(sums_C) < 2:
        raise NotMeasurableError(
            f"{n_items} of {len(templates)} items were scored in both models, from {len(sums_C)} "
            "templates; a shift needs items from at least two"
        )
    bootstrap_rng, flip_rng = np.random.default_rng(seed).spawn(2)
    interval = cluster_bootstrap(sums_C, counts_C, n_bootstrap, bootstrap_rng)
    test = sign_flip(sums_C, flip_rng)
    return Shift(
        shift=float(sums_C.sum() / n_items),
        ci_low=interval.low,
        ci_high=interval.high,
        p=test.p,
        base_score=float(base_I[scored_I].mean()),
        candidate_score=float(candidate_I[scored_I].mean()),
        n_items=n_items,
        n_unscored=len(templates) - n_items,
        n_templates=len(sums_C),
        n_bootstrap=interval.n_bootstrap,
        n_flips=test.n_flips,
    )


def reseeding(base: ArrayLike, other: ArrayLike, templates: Sequence[str]) -> float | None:
    """How far the seed of the resampling moves the lower end of a shift's interval.

    As a part of half the interval's width, over RESEEDS. Item scores are [n_items]; None where
    the shift can't be measured. The shift itself depends on no seed, and neither does its p up to
    16 templates.
    """
    try:
        shifts = [paired_shift(base, other, templates, seed) for seed in RESEEDS]
    except NotMeasurableError:
        return None
    half_width = float(np.mean([(shift.ci_high - shift.ci_low) / 2 for shift in shifts]))
    spread = max(shift.ci_low for shift in shifts) - min(shift.ci_low for shift in shifts)
    return spread / half_width if half_width > 0 else 0.0


def benjamini_hochberg(p: Sequence[float]) -> Floats:
    """Adjusted p-values in the order given: at most `alpha` is a discovery at that rate.

    Adjusted p of rank i of m is min over j >= i of p_(j) m / j (Benjamini and Hochberg, JRSS B 57,
    1995). Raises ValueError for a p outside 0 to 1; leave out what was not measured.
    """
    p_M = np.asarray(p, dtype=np.float64)
    if not ((p_M >= 0.0) & (p_M <= 1.0)).all():
        raise ValueError("a p-value must lie between 0 and 1; leave out what was not measured")
    order_M = np.argsort(p_M)
    scaled_M = p_M[order_M] * (len(p_M) / np.arange(1, len(p_M) + 1))
    adjusted_M = np.empty_like(p_M)
    adjusted_M[order_M] = np.minimum.accumulate(scaled_M[::-1])[::-1]
    return adjusted_M.clip(0.0, 1.0)


def template_totals(
    difference_S: Floats, templates: Sequence[str], scored_I: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Per template with a scored item: the sum of its differences and how many there are."""
    _, template_S = np.unique(np.asarray(templates, dtype=str)[scored_I], return_inverse=True)
    sums_C = np.bincount(template_S, weights=difference_S).astype(np.float64)
    return sums_C, np.bincount(template_S).astype(np.float64)
