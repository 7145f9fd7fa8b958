"""What the stages of a diff have found so far; None where a stage did not run."""

from dataclasses import dataclass, field

from workers.stages.answers import BothAnswers
from workers.stages.attribute import Attribution
from workers.stages.describe import Descriptions
from workers.stages.forks import Forks
from workers.stages.harvest import Harvest
from workers.stages.probe import Probe
from workers.stages.profile import Layer
from workers.stages.screen import Screened
from workers.stages.side_by_side import SideBySide
from workers.stages.steer import Causes
from workers.stages.stock_phrases import StockPhrases
from workers.stages.train import Run


@dataclass
class Findings:
    """The results of the stages, each at most once, and how long each stage took."""

    answers: BothAnswers | None = None
    probe: Probe | None = None
    stock_phrases: StockPhrases | None = None
    forks: Forks | None = None
    layer: Layer | None = None
    harvest: Harvest | None = None
    attribution: Attribution | None = None
    runs: list[Run] = field(default_factory=list)
    screened: Screened | None = None
    causes: Causes | None = None
    side_by_side: SideBySide | None = None
    descriptions: Descriptions | None = None
    nothing_to_diff: bool = False
    """Both models are equal in all that was read of them."""
    undescribed: str | None = None
    """Why the features could not be described."""
    seconds: dict[str, float] = field(default_factory=dict)
