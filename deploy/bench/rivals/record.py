"""What is kept of every method on every version: plain data, free of torch."""

from typing import Literal

from workers.keeping.artifact import Result

Kind = Literal["planted", "diluted", "benign"]
Half = Literal["tuning", "report"]

OURS = "latentwatch"


class Mediated(Result):
    """What a method's directions remove of one behaviour's shift; None is void or not measured.

    Parts of the shift on the items that chose nothing, by the rules of `alerts.causes.mediation`.
    """

    ceiling: float | None
    best: float | None
    five: float | None
    everything: float | None
    control_p95: float | None
    nll_rise: float | None
    """Of the best five, nats per token."""

    @property
    def is_cause(self) -> bool:
        """Whether the best five remove more than random directions in their place."""
        return (
            self.five is not None
            and self.control_p95 is not None
            and self.five > max(self.control_p95, 0.0)
        )


class Finding(Result):
    """One method on one version."""

    score: float | None
    """How much the version differs, in the method's own unit; None where its own rule decides."""
    flagged: bool | None
    """What the method's own rule says; None where the score needs a threshold from nulls."""
    names: list[str]
    """What a reader is shown: behaviours, words or tokens, strongest first."""
    figures: dict[str, float]
    mediated: dict[str, Mediated] | None
    """By behaviour that shifted; None for a method without directions."""
    seconds: float
    """Of looking: the stages of the diff that the method needs, and its own work."""
    steering_seconds: float | None
    """Of the causal figures; None without directions, and where `seconds` holds them."""


class Compared(Result):
    """All methods on one version of the zoo."""

    name: str
    version: str
    """SHA-256 (hex) of its files."""
    kind: Kind
    half: Half
    expected: str | None
    """Behaviour whose suite has to be flagged; None where there is no suite for it, or no plant."""
    findings: dict[str, Finding]
    """By the method's name."""


class Comparison(Result):
    """What `latentwatch bench compare` keeps: versions compared by one recipe and one code."""

    recipe_digest: str
    code: str
    """SHA-256 (hex) of all that makes the findings."""
    versions: list[Compared]
