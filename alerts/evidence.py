"""What the report draws beside the verdict: curves, answers, item scores, controls, examples.

Plain data, stored as JSON next to the verdict, so that a report can be drawn again at any time and
without a model. None means "not measured"; not-a-number is refused, so that it can't pass for one.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from alerts.causes.explanation import Explanation
from alerts.records.record import Natural, Probability, Record


class PatchPoint(Record):
    """What exchanging the whole residual state after one block (0-based) does to on-policy text."""

    layer: int = Field(ge=0)
    removed: float | None = None
    """Part of the divergence that goes away with the base's state in the candidate."""
    induced: float | None = None
    """Part of the divergence that appears with the candidate's state in the base."""


class DoseResponse(Record):
    """One behaviour's score in the candidate as one feature is turned down and up."""

    behaviour: str
    feature: str
    strengths: list[float]
    """Gain on the feature's own contribution: -1 removes it, 0 changes nothing, +1 doubles it."""
    effects: list[float | None]
    """Change of the behaviour's score at each strength, nats per token."""
    control_effects: list[list[float]]
    """For each strength the same change under every random direction of equal edit norm."""
    nll_rises: list[float | None]
    """Rise of the loss on neutral text at each strength, nats per token."""

    @model_validator(mode="after")
    def _one_entry_per_strength(self) -> Self:
        for name in ("effects", "control_effects", "nll_rises"):
            _same_length(self, "strengths", name)
        return self


class Answer(Record):
    """The same prompt answered by both models and by both models with features edited."""

    behaviour: str
    prompt: str
    base: str
    candidate: str
    candidate_ablated: str | None = None
    base_induced: str | None = None
    features: list[str] = Field(default_factory=list)
    """Ids of the features that the two edited answers take away or add."""


class ForkShown(Record):
    """One place where the candidate's own answer leaves the base's path."""

    prompt: str
    opening: str
    """How the candidate's answer begins; both go on from there."""
    base: str
    candidate: str
    divergence: float
    """How much likelier the candidate's words are in it than in the base, nats per token."""


class ItemScore(Record):
    """Score of one probe item in both models, nats per token; positive is more of the behaviour."""

    behaviour: str
    item: str
    template: str
    base: float | None = None
    candidate: float | None = None
    not_known_to: list[Literal["base", "candidate"]] = Field(default_factory=list)
    """Which of the models do not know what the item takes for granted: then it does not count."""


class ControlReading(Record):
    """What one model does where no behaviour is at stake."""

    capability_accuracy: Probability | None = None
    mean_answer_length: Natural | None = None
    """Tokens per answer."""
    refusal_rate: Probability | None = None
    answered: Probability | None = None
    """Part of the ordinary prompts to which it says anything at all."""


class Controls(Record):
    """The control readings of both models."""

    base: ControlReading = ControlReading()
    candidate: ControlReading = ControlReading()


class HighlightedExample(Record):
    """A stretch of text with the feature's activation on every token."""

    tokens: list[str]
    activations: list[float]
    other: list[float] | None = None
    """What the feature would read on the same tokens in the other model."""

    @model_validator(mode="after")
    def _one_activation_per_token(self) -> Self:
        _same_length(self, "tokens", "activations")
        if self.other is not None:
            _same_length(self, "tokens", "other")
        return self


class FeatureExamples(Record):
    """The texts on which one feature is most active, strongest first."""

    feature: str
    examples: list[HighlightedExample]


class TrainingRun(Record):
    """Training of one seed of the crosscoder: thinned loss curve and how much it explains.

    The explained parts are of energies summed over positions of the corpus that count alike, under
    the thresholds of use (`dfc.crosscoder.explained`). Evidence that has the difference by one
    block and not by both is older: all its parts are 1 - a loss of the last batch.
    """

    seed: int
    steps: list[int] = Field(default_factory=list)
    losses: list[float] = Field(default_factory=list)
    variance_explained_base: float | None = None
    """Of the base's states, by the shared and its exclusive block."""
    variance_explained_candidate: float | None = None
    variance_explained_difference: float | None = None
    """Of candidate minus base, by the candidate's exclusive block alone. None where states of one
    model can't be subtracted from those of the other."""
    variance_explained_difference_both: float | None = None
    """The same by both exclusive blocks: what the one writes minus what the other does."""

    @model_validator(mode="after")
    def _one_loss_per_step(self) -> Self:
        _same_length(self, "steps", "losses")
        return self


class Evidence(Record):
    """Everything a report shows that is not in the verdict; an empty list is "not measured"."""

    schema_: Literal["latentwatch.evidence/1"] = Field(
        default="latentwatch.evidence/1", alias="schema"
    )
    patch_profile: list[PatchPoint] = Field(default_factory=list)
    dose_responses: list[DoseResponse] = Field(default_factory=list)
    answers: list[Answer] = Field(default_factory=list)
    forks: list[ForkShown] = Field(default_factory=list)
    """The clearest first."""
    item_scores: list[ItemScore] = Field(default_factory=list)
    controls: Controls = Controls()
    examples: list[FeatureExamples] = Field(default_factory=list)
    explanations: list[Explanation] = Field(default_factory=list)
    training: list[TrainingRun] = Field(default_factory=list)
    maximum_nll_rise: Natural | None = None
    """The policy's limit on what an edit may cost on neutral text, nats per token."""
    caveats: list[str] = Field(default_factory=list)


def _same_length(record: Record, first: str, second: str) -> None:
    lengths = [len(getattr(record, name)) for name in (first, second)]
    if lengths[0] != lengths[1]:
        raise ValueError(
            f"{first} has {lengths[0]} entries and {second} has {lengths[1]}: "
            "give both the same number of entries"
        )
