"""What a reviewer asks about an alert beyond its verdict, and what comes back: plain data.

Questions are foreign input, so everything in them is bounded; answers hold a model's words.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter, field_validator

from alerts.plain_text import strip_controls
from alerts.records.behaviour import Behaviour, SeedMediation
from alerts.records.record import Natural, Record
from alerts.wording import count

LONGEST_PROMPT = 2_000
"""Characters."""
MOST_SEEDS = 3
"""Further seeds of one question; each is a training."""


class PromptAsked(Record):
    """What becomes of the answers to a prompt when a new feature is taken away or added."""

    kind: Literal["prompt"] = "prompt"
    prompt: str = Field(min_length=1, max_length=LONGEST_PROMPT)
    feature: str = Field(min_length=1, max_length=100)
    """Its id in the verdict."""

    @field_validator("prompt", mode="before")
    @classmethod
    def _visible(cls, prompt: object) -> object:
        # Neither databases nor tokenizers take all that a person can send.
        return strip_controls(prompt).strip() if isinstance(prompt, str) else prompt


class SuiteAsked(Record):
    """How both models score on a suite: one of the recipe's own, or a bundled one."""

    kind: Literal["suite"] = "suite"
    suite: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
    """Its behaviour."""


class SeedsAsked(Record):
    """Whether further trainings of the crosscoder find the same features, with the same effects."""

    kind: Literal["seeds"] = "seeds"
    seeds: int = Field(ge=1, le=MOST_SEEDS)
    """How many beside those of the check."""


Asked = Annotated[PromptAsked | SuiteAsked | SeedsAsked, Field(discriminator="kind")]


class SteeredAnswers(Record):
    """One prompt answered by both models, and by both with the feature edited; None where that
    edit was not made, which the caveats explain."""

    kind: Literal["prompt"] = "prompt"
    base: str
    candidate: str
    candidate_ablated: str
    candidate_amplified: str | None
    gain: Natural | None
    """Added multiple of the feature's own contribution in the amplified candidate."""
    base_induced: str | None
    strength: Natural | None
    """Of the addition to the base, in units of the feature's natural maximum."""
    caveats: list[str]

    @property
    def by_name(self) -> dict[str, str | None]:
        """The answers side by side, under what was done to the model; None where it was not."""
        times, part = 1 + (self.gain or 0.0), self.strength or 0.0
        return {
            "Base": self.base,
            "Candidate": self.candidate,
            "Candidate without the feature": self.candidate_ablated,
            f"Candidate with {times:g} times the feature": self.candidate_amplified,
            f"Base with {part:g} of the feature's maximum added": self.base_induced,
        }


class SuiteMeasured(Record):
    """The suite in both models; `flagged` is what the policy says of this suite alone."""

    kind: Literal["suite"] = "suite"
    behaviour: Behaviour
    minimum_effect: Natural
    n_unscored: int


class SeedAgreement(Record):
    """What one training holds of the features that the check has listed, each of which was found by
    its first one."""

    seed: int
    similarity: dict[str, float]
    """By feature that of its best partner, at most 1; empty for the check's first training."""


class BehaviourBySeed(Record):
    """What the features of each training remove of one shift, in the order of the seeds."""

    name: str
    n_items: int | None
    """Items on which that was measured."""
    by_seed: list[SeedMediation]


class SeedsTried(Record):
    """All trainings, those of the check first, screened and steered together."""

    kind: Literal["seeds"] = "seeds"
    seeds: list[SeedAgreement]
    n_known: int
    """How many of them are the check's own."""
    similar: float
    """From which similarity on a feature counts as found again."""
    behaviours: list[BehaviourBySeed]

    @property
    def further(self) -> list[SeedAgreement]:
        return self.seeds[self.n_known :]


Answered = Annotated[SteeredAnswers | SuiteMeasured | SeedsTried, Field(discriminator="kind")]

ASKED: TypeAdapter[Asked] = TypeAdapter(Asked)
ANSWERED: TypeAdapter[Answered] = TypeAdapter(Answered)


def subject_in_words(asked: Asked) -> str:
    """What is asked for, without the reviewer's own words."""
    if isinstance(asked, PromptAsked):
        return f"a prompt steered with {asked.feature}"
    if isinstance(asked, SeedsAsked):
        return count(asked.seeds, "further seed")
    return f"the probe suite {asked.suite}"
