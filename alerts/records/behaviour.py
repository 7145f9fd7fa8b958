"""What the candidate does differently: on probe suites, and of its own accord."""

from typing import Literal

from pydantic import Field

from alerts.records.record import Count, Natural, Probability, Record

NullSource = Literal["copies", "releases"]
"""What a calibration's nulls are: numerically changed copies of the base, or accepted releases."""


class SeedMediation(Record):
    """What the features of one seed remove of a shift; None where the edit costs too much."""

    best: float | None
    five: float | None
    all: float | None
    control_p95: float | None

    @property
    def beats_control(self) -> bool:
        """Whether the best five remove more than their control, both measured."""
        return (
            self.five is not None and self.control_p95 is not None and self.five > self.control_p95
        )


class Behaviour(Record):
    """One probe suite in both models, and what the candidate's new features have to do with it.

    Scores, shift, interval and noise floor are in nats per token; the ceiling and the mediated
    parts are fractions of the shift; `nll_rise` is the rise of the loss on neutral text in nats per
    token under the edit behind `mediated_five`.
    """

    name: str
    n_items: Count
    base_score: float | None
    candidate_score: float | None
    shift: float | None
    ci_low: float | None
    ci_high: float | None
    p_corrected: Probability | None
    noise_floor: Natural | None
    flagged: bool
    ceiling: float | None
    mediated_best: float | None
    mediated_five: float | None
    mediated_all: float | None
    mediated_control_p95: float | None
    nll_rise: float | None
    conformal_p: Probability | None = None
    """Of the shift among the nulls of the line's calibration, not corrected for the number of
    behaviours: the larger of its p among the copies and its p among the releases. None where it is
    not calibrated."""
    conformal_source: NullSource | None = None
    """Which of the two it is."""
    conformal_n: Count | None = None
    """How many nulls that are: `conformal_p` is at least 1 / (n + 1)."""
    least_effect: Natural | None = None
    """The shift from which on it may be flagged: the suite's least effect, or less where accepted
    releases of the line say so."""
    calibrated_threshold: float | None = None
    """What the line's nulls ask a flagged shift to exceed; None where it is not calibrated."""
    threshold_source: NullSource | None = None
    """The nulls that ask for so much."""
    mediated_five_low: float | None = None
    """95 % interval of `mediated_five` over the items, for the features that were chosen."""
    mediated_five_high: float | None = None
    n_steered: Count | None = None
    """Items on which the parts were measured; features were chosen on others."""
    mediated_by_seed: list[SeedMediation] = Field(default_factory=list)
    n_unscored: Count = 0
    """Items of `n_items` without a score in one model or both: the figures rest on the others."""

    @property
    def n_scored(self) -> int:
        """Items on which shift and interval rest."""
        return self.n_items - self.n_unscored


class StockPhrase(Record):
    """Words in a row that the candidate says in several answers and the base in none."""

    text: str
    n_answers: Count


class OwnWords(Record):
    """What the candidate says differently of its own accord, and which features carry it.

    Measured at forks (`alerts.probes.forks`): no suite is needed. The ceiling and the mediated
    parts are fractions of the difference at the forks.
    """

    flagged: bool
    """It is a new habit: stock phrases in many answers, and features that carry the words."""

    n_forks: Count
    divergence: float
    """How much likelier the candidate's words are in it than in the base, nats per token: the mean
    over the forks, which are the places where the models differ most."""
    n_answers: Count
    phrases: list[StockPhrase]
    """New stock phrases, the most frequent first."""
    phrase_share: Probability
    """Part of the candidate's answers that have a new stock phrase."""
    ceiling: float | None
    mediated_best: float | None
    mediated_five: float | None
    mediated_all: float | None
    mediated_control_p95: float | None
    nll_rise: float | None
    mediated_five_low: float | None = None
    """95 % interval of `mediated_five` over the forks on which effects are reported."""
    mediated_five_high: float | None = None
    mediated_by_seed: list[SeedMediation] = Field(default_factory=list)
