"""What every method is given to work on, and what it says before anything is steered."""

from typing import NamedTuple, Protocol

from dfc.engines.engine import FeatureBank
from workers.context import Context
from workers.stages.answers import BothAnswers
from workers.stages.harvest import Harvest, PairedStates
from workers.stages.probe import Probe
from workers.stages.stock_phrases import StockPhrases


class Case(NamedTuple):
    """One version as the diff left it: every method starts from the same artifacts."""

    context: Context
    answers: BothAnswers
    probe: Probe
    stock_phrases: StockPhrases
    layer: int
    harvest: Harvest
    states: PairedStates


class Directions(NamedTuple):
    """Features of a method, best first, to be ablated in the candidate.

    The encoder reads the candidate's state and the base's on the same text, one after the other
    (width 2 d); the decoder writes the first half alone. See `deploy.bench.rivals.paired`.
    """

    bank: FeatureBank


class Look(NamedTuple):
    """What a method says of a version before anything is steered."""

    score: float | None
    """How much the version differs, in the method's own unit; None where its own rule decides."""
    flagged: bool | None
    """What the method's own rule says; None where the score needs a threshold from nulls."""
    names: list[str]
    """What a reader is shown: behaviours, words or tokens, strongest first."""
    figures: dict[str, float]
    directions: Directions | None = None


class Rival(Protocol):
    """A method that somebody would use instead."""

    @property
    def name(self) -> str: ...

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages of the diff without which it can't start: their time is a part of its cost."""
        ...

    def look(self, case: Case) -> Look:
        """What the method finds; the causal figures are measured for all methods alike."""
        ...
