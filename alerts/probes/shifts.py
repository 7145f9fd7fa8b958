"""From the item scores of both models to measured behaviours and accuracies."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from alerts.deciding.measured import MeasuredBehaviour
from alerts.deciding.noise import NotMeasurableError, noise_floor
from alerts.deciding.statistics import Floats, Shift, benjamini_hochberg, paired_shift
from alerts.probes.knowledge import applicable, enough
from alerts.probes.suite import Suite


class SuiteScores(NamedTuple):
    """The item scores of one suite, [n_items] each; NaN where an item is unscored."""

    suite: Suite
    base: ArrayLike
    candidate: ArrayLike
    perturbed: Sequence[ArrayLike]
    """Of numerically perturbed copies of the base, for the noise floor."""
    unknown: Collection[str] = ()
    """Ids of the items that do not apply: a model does not know what they take for granted."""

    def applicable(self) -> "SuiteScores":
        """The same over the items that apply."""
        kept_I = [item.id not in self.unknown for item in self.suite.items]
        return SuiteScores(
            applicable(self.suite, self.unknown),
            np.asarray(self.base, dtype=np.float64)[kept_I],
            np.asarray(self.candidate, dtype=np.float64)[kept_I],
            [np.asarray(copy, dtype=np.float64)[kept_I] for copy in self.perturbed],
        )


def measure_behaviours(
    scores: Sequence[SuiteScores], seed: int = 0, n_bootstrap: int = 10_000
) -> list[MeasuredBehaviour]:
    """Shift, interval, corrected p and noise floor of each suite; the correction is over all.

    Items that do not apply are left out of everything but their count. What can't be measured stays
    None: a suite without enough items that apply and were scored has no shift and no p, and one
    without a scored perturbed copy has no noise floor. Raises ValueError for a control suite, whose
    scores are accuracies and not amounts of a behaviour.
    """
    shifts = [_shift(suite_scores, seed, n_bootstrap) for suite_scores in scores]
    corrected = iter(benjamini_hochberg([shift.p for shift in shifts if shift is not None]))
    return [
        _measured(suite_scores, shift, None if shift is None else float(next(corrected)))
        for suite_scores, shift in zip(scores, shifts, strict=True)
    ]


def accuracy(scores: ArrayLike, maximum_unscored: float) -> float | None:
    """Share of a control suite's scored items with a score above 0.

    None when more than the share `maximum_unscored` of the items, or every item, is unscored.
    """
    score_I = np.asarray(scores, dtype=np.float64)
    scored_I = np.isfinite(score_I)
    if not scored_I.any() or 1.0 - scored_I.mean() > maximum_unscored:
        return None
    return float((score_I[scored_I] > 0.0).mean())


def null_shift(base: ArrayLike, other: ArrayLike) -> float | None:
    """Mean of other minus base over the items scored in both; None without any."""
    difference_S = _differences(base, other)
    return float(difference_S.mean()) if len(difference_S) else None


def _shift(scores: SuiteScores, seed: int, n_bootstrap: int) -> Shift | None:
    kept = scores.applicable()
    if not enough(kept.suite, scores.suite):
        return None
    try:
        return paired_shift(kept.base, kept.candidate, kept.suite.templates, seed, n_bootstrap)
    except NotMeasurableError:
        return None


def _measured(
    scores: SuiteScores, shift: Shift | None, p_corrected: float | None
) -> MeasuredBehaviour:
    suite = scores.suite
    if suite.role != "behaviour" or suite.minimum_effect is None:
        raise ValueError(f"{suite.behaviour} is a control suite: score it with accuracy()")
    kept = scores.applicable()
    n_items = len(kept.suite.items)
    return MeasuredBehaviour(
        name=suite.behaviour,
        n_items=n_items,
        n_not_applicable=len(suite.items) - n_items,
        n_unscored=n_items - len(_differences(kept.base, kept.candidate)),
        base_score=shift.base_score if shift else None,
        candidate_score=shift.candidate_score if shift else None,
        shift=shift.shift if shift else None,
        ci_low=shift.ci_low if shift else None,
        ci_high=shift.ci_high if shift else None,
        p_corrected=p_corrected,
        noise_floor=_floor(kept),
        minimum_effect=suite.minimum_effect,
    )


def _floor(scores: SuiteScores) -> float | None:
    null_shifts = [null_shift(scores.base, copy) for copy in scores.perturbed]
    known = [shift for shift in null_shifts if shift is not None]
    return noise_floor(known).floor if known else None


def _differences(base: ArrayLike, other: ArrayLike) -> Floats:
    """Other minus base over the items scored in both."""
    difference_I = np.asarray(other, dtype=np.float64) - np.asarray(base, dtype=np.float64)
    return difference_I[np.isfinite(difference_I)]
