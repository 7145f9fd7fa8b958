"""The verdict on one candidate: the JSON that `latentwatch check --format json` prints.

Only the shape and its invariants; what leads to a verdict is in `alerts.deciding.policy`. Every key
is always present, an unknown is null and never 0, and a number that is not finite is refused.
"""

import json
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from alerts.records.behaviour import Behaviour, OwnWords
from alerts.records.feature import Feature
from alerts.records.record import Count, Natural, Record, Seconds

SCHEMA = "latentwatch.verdict/1"

Outcome = Literal["passed", "flagged", "undecided"]
Severity = Literal["warning", "critical"]

_EXIT_CODES: dict[Outcome, int] = {"passed": 0, "flagged": 1, "undecided": 3}


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


class EarlierVersion(Record):
    """A version of the line with whose features the new ones were compared, or were not."""

    name: str
    not_compared: str | None
    """Why not."""


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
    earlier: list[EarlierVersion] = Field(default_factory=list)
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
        own_words = self.own_words is not None and self.own_words.flagged
        return [*self.shifted, "own_words"] if own_words else list(self.shifted)

    @property
    def shifted(self) -> tuple[str, ...]:
        """The flagged behaviours that have a suite."""
        return tuple(behaviour.name for behaviour in self.behaviours if behaviour.flagged)


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
