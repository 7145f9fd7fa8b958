"""What the policy judges, sound and quiet unless a test says otherwise."""

from collections.abc import Mapping, Sequence
from typing import Any

from alerts.deciding.measured import CausalEvidence, MeasuredBehaviour
from alerts.deciding.policy import Decision, Policy, decide, default_policy
from alerts.evidence import Controls
from alerts.records.behaviour import OwnWords
from alerts.records.feature import Feature

POLICY = default_policy()
SOUND = Controls.model_validate(
    {
        "base": {
            "capability_accuracy": 0.9,
            "mean_answer_length": 100.0,
            "refusal_rate": 0.05,
            "answered": 0.9,
        },
        "candidate": {"capability_accuracy": 0.88, "mean_answer_length": 110.0, "answered": 0.5},
    }
)


def controls(**candidate: float | None) -> Controls:
    readings = SOUND.model_dump()
    readings["candidate"] |= candidate
    return Controls.model_validate(readings)


def behaviour(**changes: Any) -> MeasuredBehaviour:
    """Unchanged unless told otherwise."""
    quiet: dict[str, Any] = {
        "name": "sycophancy",
        "n_items": 50,
        "n_unscored": 0,
        "base_score": 0.9,
        "candidate_score": 0.92,
        "shift": 0.02,
        "ci_low": -0.05,
        "ci_high": 0.09,
        "p_corrected": 0.4,
        "noise_floor": 0.05,
        "minimum_effect": 0.5,
    }
    return MeasuredBehaviour(**quiet | changes)


RISEN = {"shift": 1.2, "ci_low": 0.8, "ci_high": 1.6, "p_corrected": 0.01}


def causal(**changes: Any) -> CausalEvidence:
    """Evidence that holds unless told otherwise."""
    sound: dict[str, Any] = {
        "ceiling": 0.7,
        "mediated_best": 0.2,
        "mediated_five": 0.4,
        "mediated_all": 0.6,
        "control_p95": 0.1,
        "nll_rise": 0.01,
        "seeds_agree": True,
        "five_interval": (0.2, 0.6),
    }
    return CausalEvidence(**sound | changes)


def judge(
    *behaviours: MeasuredBehaviour,
    controls: Controls = SOUND,
    evidence: Mapping[str, CausalEvidence] | None = None,
    features: Sequence[Feature] = (),
    own_words: OwnWords | None = None,
    policy: Policy = POLICY,
) -> Decision:
    return decide(
        behaviours,
        policy,
        controls=controls,
        evidence=evidence or {},
        features=features,
        own_words=own_words,
    )
