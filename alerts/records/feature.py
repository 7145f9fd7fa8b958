"""A short-listed feature: what it is, what steering it does, where it was seen before."""

from typing import Literal

from pydantic import Field

from alerts.records.record import Probability, Record


class FeatureEffect(Record):
    """What steering one feature does to one behaviour: fractions of the shift, and its cost."""

    behaviour: str
    ablation_removes: float | None
    """In the candidate."""
    addition_induces: float | None
    """In the base."""
    control_p95: float | None
    """The most that ablating any random direction removes, chosen alike and of equal norm."""
    addition_control_p95: float | None = None
    """The most that adding any random direction of equal norm to the base induces."""
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


class CarriedWords(Record):
    """What the candidate says at one place of its own answers, and the base does not, which goes
    when one feature is ablated."""

    candidate: str
    base: str
    """What the base says there instead."""
    part: float
    """Of the difference at this place, what the ablation takes back."""


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
    reach: list[Reach] = Field(default_factory=list)
    """Behaviours that it moves beyond random directions when it is turned up."""
    carries: list[CarriedWords] | None = None
    """Of what the candidate says of its own accord, where ablating it takes back most; None where
    that was not measured, or its best features carry no more than random directions."""
    seen_before: list[SeenBefore] | None = None
    """In earlier versions, the newest first; None where it was compared with none."""
