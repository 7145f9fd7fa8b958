"""Evidence survives storage and refuses what would be drawn wrongly."""

import pytest
from pydantic import ValidationError

from alerts.evidence import DoseResponse, Evidence, HighlightedExample, TrainingRun
from tests.alerts import samples


def test_json_round_trip_keeps_everything() -> None:
    evidence = samples.evidence()
    text = evidence.model_dump_json()
    assert '"schema":"latentwatch.evidence/1"' in text
    assert Evidence.model_validate_json(text) == evidence


def test_empty_evidence_measures_nothing() -> None:
    evidence = Evidence()
    assert evidence.controls.base.refusal_rate is None
    assert evidence.answers == [] and evidence.patch_profile == []


@pytest.mark.parametrize("missing", ["effects", "control_effects", "nll_rises"])
def test_dose_response_needs_one_entry_per_strength(missing: str) -> None:
    dose = {
        "behaviour": "sycophancy",
        "feature": "candidate-1",
        "strengths": [-1.0, 1.0],
        "effects": [-0.3, 0.2],
        "control_effects": [[0.0], [0.1]],
        "nll_rises": [None, 0.01],
    }
    DoseResponse.model_validate(dose)
    with pytest.raises(ValidationError, match=f"strengths has 2 entries and {missing} has 1"):
        DoseResponse.model_validate(dose | {missing: dose[missing][:1]})


def test_examples_and_curves_need_equal_lengths() -> None:
    with pytest.raises(ValidationError, match="tokens has 2 entries and activations has 1"):
        HighlightedExample(tokens=["a", "b"], activations=[1.0])
    with pytest.raises(ValidationError, match="steps has 1 entries and losses has 0"):
        TrainingRun(seed=0, steps=[1], losses=[])


@pytest.mark.parametrize(
    ("field", "value"),
    [("capability_accuracy", 1.2), ("refusal_rate", -0.1), ("mean_answer_length", float("nan"))],
)
def test_impossible_controls_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ValidationError, match=field):
        Evidence.model_validate({"controls": {"base": {field: value}}})


def test_unknown_keys_are_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="patch_profiles"):
        Evidence.model_validate({"patch_profiles": []})
