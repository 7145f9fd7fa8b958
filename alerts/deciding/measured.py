"""What was measured of one behaviour: the plain data on which the policy decides."""

import math
from dataclasses import dataclass

from alerts.records.behaviour import Behaviour, NullSource, SeedMediation


class _Finite:
    """Refuses not-a-number, which would lose every comparison in silence."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} is {value}: give None for what was not measured")


@dataclass(frozen=True, kw_only=True)
class MeasuredBehaviour(_Finite):
    """One behaviour in both models, nats per token; None is "not measured"."""

    name: str
    n_items: int
    """Items of the suite that apply, scored or not."""
    n_not_applicable: int = 0
    """Items beside those: a model does not know what they take for granted."""
    n_unscored: int
    """Items that apply and have no score in one model or both."""
    base_score: float | None
    candidate_score: float | None
    shift: float | None
    ci_low: float | None
    ci_high: float | None
    p_corrected: float | None
    """One-sided (shift > 0), corrected over all behaviours of this diff."""
    noise_floor: float | None
    minimum_effect: float
    """The suite's."""
    conformal_p: float | None = None
    """Of the shift among the nulls of the line's calibration, not corrected."""
    conformal_source: NullSource | None = None
    """The nulls that gave it: those among which the shift is least unusual."""
    conformal_n: int | None = None
    """How many those are."""
    calibrated_threshold: float | None = None
    """What the calibration asks a flagged shift to exceed."""
    threshold_source: NullSource | None = None
    """The nulls that ask for so much."""
    release_limit: float | None = None
    """What one more accepted release stays below, where enough of them tell."""
    interval_margin: float | None = None
    """By how much another seed of the resampling may move the interval's lower end."""

    @property
    def n_scored(self) -> int:
        """Items on which shift and interval rest."""
        return self.n_items - self.n_unscored

    @property
    def unscored_share(self) -> float:
        """Part of the items without a score; all of them when there are no items."""
        return self.n_unscored / self.n_items if self.n_items else 1.0


@dataclass(frozen=True, kw_only=True)
class CausalEvidence(_Finite):
    """What a behaviour's shift depends on: fractions of the shift; None is "not measured"."""

    ceiling: float | None
    """Removed by the base's whole state at the layer: features can hardly remove more."""
    mediated_best: float | None
    mediated_five: float | None
    mediated_all: float | None
    """Removed by all features of the exclusive block."""
    control_p95: float | None
    """The most that a draw of random directions of equal norm removes, chosen alike, or how much
    the same ablation changes the base's own scores, if that is more; over all seeds' items."""
    nll_rise: float | None
    """Rise of the loss on neutral text under the best five, nats per token."""
    seeds_agree: bool | None
    five_interval: tuple[float, float] | None = None
    """95 % interval of `mediated_five` over the items."""
    n_items: int | None = None
    """Items on which the parts were measured; features were chosen on others."""
    by_seed: tuple[SeedMediation, ...] = ()


def behaviour_row(
    measured: MeasuredBehaviour,
    evidence: CausalEvidence | None,
    *,
    flagged: bool,
    least_effect: float,
) -> Behaviour:
    """The behaviour as it stands in the verdict; without evidence its causal fields are null."""
    return Behaviour(
        name=measured.name,
        n_items=measured.n_items,
        base_score=measured.base_score,
        candidate_score=measured.candidate_score,
        shift=measured.shift,
        ci_low=measured.ci_low,
        ci_high=measured.ci_high,
        p_corrected=measured.p_corrected,
        noise_floor=measured.noise_floor,
        flagged=flagged,
        least_effect=least_effect,
        ceiling=evidence.ceiling if evidence else None,
        mediated_best=evidence.mediated_best if evidence else None,
        mediated_five=evidence.mediated_five if evidence else None,
        mediated_all=evidence.mediated_all if evidence else None,
        mediated_control_p95=evidence.control_p95 if evidence else None,
        nll_rise=evidence.nll_rise if evidence else None,
        conformal_p=measured.conformal_p,
        conformal_source=measured.conformal_source,
        conformal_n=measured.conformal_n,
        calibrated_threshold=measured.calibrated_threshold,
        threshold_source=measured.threshold_source,
        mediated_five_low=evidence.five_interval[0]
        if evidence and evidence.five_interval
        else None,
        mediated_five_high=evidence.five_interval[1]
        if evidence and evidence.five_interval
        else None,
        n_steered=evidence.n_items if evidence else None,
        mediated_by_seed=list(evidence.by_seed) if evidence else [],
        n_unscored=measured.n_unscored,
    )
