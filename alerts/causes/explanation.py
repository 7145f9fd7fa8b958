"""What a model said about a feature, and how well that told where the feature fires.

Never part of a verdict: nothing is decided by it.
"""

from typing import Self

from pydantic import Field, model_validator

from alerts.records.record import Probability, Record


class Detection(Record):
    """The judge's balanced accuracy over as many firing as silent texts, 95 % Wilson interval."""

    score: Probability
    n: int = Field(ge=1)
    low: Probability
    high: Probability


class Explanation(Record):
    """A model's description of one feature. Untrusted text."""

    feature: str
    model: str
    description: str | None = None
    difference: str | None = None
    """Between the two models, in the model's words."""
    detection: Detection | None = None
    unscored: str | None = None
    """Why there is no detection score."""

    @model_validator(mode="after")
    def _scored_or_not(self) -> Self:
        if (self.detection is None) == (self.unscored is None):
            raise ValueError("give either a detection score or the reason why there is none")
        return self
