"""The verdict on one candidate: the JSON that `latentwatch check --format json` prints.

Only the shape and its invariants; what leads to a verdict is in `alerts.deciding.policy`. Every key
is always present, an unknown is null and never 0, and a number that is not finite is refused.
"""

import json
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCHEMA = "latentwatch.verdict/1"

Outcome = Literal["passed", "flagged", "undecided"]
Severity = Literal["warning", "critical"]
NullSource = Literal["copies", "releases"]
"""What a calibration's nulls are: numerically changed copies of the base, or accepted releases."""

Count = Annotated[int, Field(ge=0)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Natural = Annotated[float, Field(ge=0.0)]
Seconds = Natural

_EXIT_CODES: dict[Outcome, int] = {"passed": 0, "flagged": 1, "undecided": 3}


class Record(BaseModel):
    """A part of the verdict: no unknown keys, no missing keys, finite numbers only."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, serialize_by_alias=True
    )


class Checkpoint(Record):
    """One immutable version of the model."""

    digest: str
    locator: str
    """Where it was found, for a person to read."""


class RecipeSummary(Record):
    """What determined the result."""

    digest: str
    layer: Annotated[int, Field(ge=0)] | None
    """Residual stream after this block (0-based)."""
    tokens: Count | None
    """Positions on which the crosscoder was trained."""
    seeds: list[int]
    dtype: str | None = None
    """Number format in which the models ran: the processor's own."""


class SeedMediation(Record):
    """What the features of one seed remove of a shift; None where the edit costs too much."""

    best: float | None
    five: float | None
    all: float | None
    control_p95: float | None


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
    calibrated_threshold: float | None = None
    """What the line's nulls ask a flagged shift to exceed; None where it is not calibrated."""
    threshold_source: NullSource | None = None
    """The nulls that ask for so much."""
    mediated_five_low: float | None = None
    """95 % interval of `mediated_five` over the items, for the features that were chosen."""
    mediated_five_high: float | None = None
    n_steered: Count | None = None
    """Items on which the parts were measured; features were chosen on others."""
    mediated_by_seed: list[SeedMediation] = []
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


class FeatureEffect(Record):
    """What steering one feature does to one behaviour: fractions of the shift, and its cost."""

    behaviour: str
    ablation_removes: float | None
    """In the candidate."""
    addition_induces: float | None
    """In the base."""
    control_p95: float | None
    """95th percentile of what ablating random directions of equal norm removes."""
    addition_control_p95: float | None = None
    """95th percentile of what adding random directions of equal norm to the base induces."""
    nll_rise: float | None
    """Rise of the loss on neutral text, nats per token."""
    strength: float | None
    """Of the addition, in units of the feature's natural maximum."""


class Reach(Record):
    """What turning up one new feature in the candidate does to one behaviour, shifted or not."""

    behaviour: str
    gain: float
    """Added multiple of the feature's own contribution, where it fires."""
    effect: float
    """Change of the behaviour's score, nats per token."""
    control: float
    """What its size has to exceed: the largest change under random directions of equal norm, over
    all features and behaviours, in the scale of this one. Were the features random directions too,
    one verdict in draws + 1 (seven) would have any such effect (`alerts.causes.reach`)."""
    nll_rise: float
    """Rise of the loss on neutral text, nats per token."""


class SeenBefore(Record):
    """A feature of an earlier version of the line that counts as the same
    (`dfc.screening.likeness`)."""

    version: str
    feature: str
    label: str | None
    cosine: float
    """Of what both write."""
    correlation: float
    """Of where both fire, on the states of this candidate."""


class EarlierVersion(Record):
    """A version of the line with whose features the new ones were compared, or were not."""

    name: str
    not_compared: str | None
    """Why not."""


class Feature(Record):
    """One short-listed latent that only one of the two models has."""

    id: str
    side: Literal["candidate", "base"]
    density: Probability
    delta_energy: float | None
    exclusivity: float | None
    seed_agreement: float | None
    top_tokens: list[str]
    """By the logit lens: what its direction writes."""
    raised_tokens: list[str] | None = None
    lowered_tokens: list[str] | None = None
    """Next tokens that the candidate makes likelier or less likely than the base where it fires."""
    label: str | None = None
    """In plain words: what it raises, where it fires, whether the other model fires there too."""
    template_share: Probability | None = None
    """Part of its activation that falls on tokens of the chat template."""
    examples: list[str]
    effects: list[FeatureEffect]
    reach: list[Reach] = []
    """Behaviours that it moves beyond random directions when it is turned up."""
    seen_before: list[SeenBefore] | None = None
    """In earlier versions, the newest first; None where it was compared with none."""


class CalibrationSummary(Record):
    """The calibration of the line that counts in a verdict."""

    digest: str
    age_days: Natural
    """When the diff was decided."""
    n_nulls: Count
    """Copies of the base and accepted releases together, the fewest of each for a behaviour."""
    n_releases: Count
    """How many of them are accepted releases."""


class Verdict(Record):
    """The result of one diff. "Could not check" is undecided, with a reason, and never passed."""

    schema_: Literal["latentwatch.verdict/1"] = Field(alias="schema")
    line: str | None
    base: Checkpoint
    candidate: Checkpoint
    recipe: RecipeSummary
    verdict: Outcome
    severity: Severity | None
    reasons: list[str]
    behaviours: list[Behaviour]
    own_words: OwnWords | None = None
    features: list[Feature]
    earlier: list[EarlierVersion] = []
    """The newest first."""
    timings: dict[str, Seconds]
    versions: dict[str, str]
    calibration: CalibrationSummary | None = None
    calibration_caveat: str | None = None
    """What is not calibrated, and why; None where all is."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if (self.severity is not None) != (self.verdict == "flagged"):
            raise ValueError(
                f"severity is {self.severity} and verdict is {self.verdict}: "
                "give a severity to a flagged verdict and null to any other"
            )
        if self.verdict != "passed" and not self.reasons:
            raise ValueError(f"verdict is {self.verdict} without reasons: give at least one")
        if self.flagged and self.verdict != "flagged":
            flagged = ", ".join(self.flagged)
            raise ValueError(f"verdict is {self.verdict} although {flagged} is flagged")
        names = [behaviour.name for behaviour in self.behaviours]
        if len(set(names)) < len(names):
            raise ValueError(
                "behaviours: the same name stands twice; give each behaviour one entry"
            )
        return self

    @property
    def flagged(self) -> list[str]:
        """The behaviours that it flags, as routes name them."""
        names = [behaviour.name for behaviour in self.behaviours if behaviour.flagged]
        own_words = self.own_words is not None and self.own_words.flagged
        return [*names, "own_words"] if own_words else names


def exit_code(verdict: Verdict) -> int:
    """The exit code of the command line: 0 passed, 1 flagged, 3 undecided (2 is bad input)."""
    return _EXIT_CODES[verdict.verdict]


def is_borne(verdict: Verdict, fail_on: Severity) -> bool:
    """Whether it is flagged, but below the severity from which a flagged verdict fails."""
    return verdict.verdict == "flagged" and verdict.severity == "warning" and fail_on == "critical"


def to_json(verdict: Verdict) -> str:
    """The verdict as indented JSON. Raises ValueError for a number that is not finite.

    Validation refuses such numbers already; a model built or copied without validation does not,
    and pydantic's own serialiser would write them as null, which means "not measured". Half
    characters, which no UTF-8 output can carry, become question marks.
    """
    text = json.dumps(verdict.model_dump(), allow_nan=False, ensure_ascii=False, indent=2)
    return text.encode("utf-8", "replace").decode()
