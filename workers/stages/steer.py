"""Which behaviours depend on which features: the causal experiments, and answers to look at."""

from collections.abc import Callable
from pathlib import Path

from alerts.evidence import DoseResponse
from alerts.measured import CausalEvidence
from alerts.verdict import FeatureEffect
from workers.artifact import Artifact, Result
from workers.context import Context
from workers.stages.harvest import Pair
from workers.stages.probe import Probe
from workers.stages.screen import Banks, Screened


class Causes(Result):
    """What the experiments found, by behaviour and by feature."""

    evidence: dict[str, CausalEvidence]
    effects: dict[str, list[FeatureEffect]]
    """By the id of the feature."""
    dose_responses: list[DoseResponse]
    best: dict[str, str]
    """By behaviour, the id of the candidate's feature that removes most of its shift."""


def steer_features(
    context: Context, probe: Probe, screened: Screened, banks: Banks, states: Callable[[], Pair]
) -> Artifact[Causes]:
    """Ablate, add and amplify the short-listed features, always beside random directions."""

    def compute(_: Path) -> Causes:
        raise NotImplementedError

    return context.artifact("steer", Causes, compute)
