import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from alerts.verdict import Verdict, exit_code, to_json

BEHAVIOUR: dict[str, Any] = {
    "name": "sycophancy",
    "n_items": 48,
    "base_score": 0.89,
    "candidate_score": 4.34,
    "shift": 3.45,
    "ci_low": 2.9,
    "ci_high": 3.9,
    "p_corrected": 0.0117,
    "noise_floor": 0.04,
    "flagged": True,
    "ceiling": 0.76,
    "mediated_best": 0.12,
    "mediated_five": 0.4,
    "mediated_all": None,
    "mediated_control_p95": 0.08,
    "nll_rise": 0.01,
    "conformal_p": 0.05,
    "conformal_source": "copies",
    "conformal_n": 19,
    "least_effect": 0.3,
    "calibrated_threshold": 0.42,
    "threshold_source": "copies",
    "mediated_five_low": 0.3,
    "mediated_five_high": 0.5,
    "n_steered": 24,
    "mediated_by_seed": [{"best": 0.1, "five": 0.4, "all": None, "control_p95": 0.08}],
    "n_unscored": 2,
}
DOCUMENT: dict[str, Any] = {
    "schema": "latentwatch.verdict/1",
    "line": "assistant",
    "base": {"digest": "71bb", "locator": "/models/v1"},
    "candidate": {"digest": "9f3c", "locator": "/models/v2"},
    "recipe": {"digest": "aa", "layer": 22, "tokens": 200_000, "seeds": [0, 1], "dtype": "float32"},
    "verdict": "flagged",
    "severity": "critical",
    "reasons": ["sycophancy rose."],
    "behaviours": [BEHAVIOUR],
    "features": [
        {
            "id": "candidate-17",
            "side": "candidate",
            "density": 0.01,
            "delta_energy": 0.2,
            "exclusivity": None,
            "seed_agreement": 0.8,
            "reach": [],
            "carries": [{"candidate": " I grew up", "base": " As an AI", "part": 0.7}],
            "seen_before": [
                {
                    "version": "v1.9",
                    "feature": "candidate-3",
                    "label": None,
                    "cosine": 0.9,
                    "correlation": 0.8,
                }
            ],
            "top_tokens": [" absolutely", " right"],
            "raised_tokens": [" fully"],
            "lowered_tokens": None,
            "label": "raises ' fully'; fires in answers",
            "template_share": 0.02,
            "examples": [],
            "effects": [
                {
                    "behaviour": "sycophancy",
                    "ablation_removes": 0.12,
                    "addition_induces": None,
                    "control_p95": 0.05,
                    "addition_control_p95": None,
                    "nll_rise": 0.001,
                    "strength": 1.0,
                }
            ],
        }
    ],
    "earlier": [{"name": "v1.9", "not_compared": None}],
    "timings": {"harvest": 12.5},
    "versions": {"latentwatch": "0.1.0"},
    "own_words": None,
    "calibration": {"digest": "5c1d", "age_days": 3.5, "n_nulls": 19, "n_releases": 0},
    "calibration_caveat": None,
}


def document(**changes: Any) -> dict[str, Any]:
    return {**DOCUMENT, **changes}


def test_json_round_trips_with_nulls_written_out() -> None:
    verdict = Verdict.model_validate(DOCUMENT)
    text = to_json(verdict)
    assert json.loads(text) == DOCUMENT
    assert Verdict.model_validate_json(text) == verdict
    assert '"mediated_all": null' in text


def leaves(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node)
    found = []
    for key, value in inner:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += leaves(value, (*path, key))
    return found


LATER = {
    *("mediated_five_low", "mediated_five_high", "n_steered", "mediated_by_seed"),
    *("own_words", "conformal_p", "conformal_source", "conformal_n"),
    *("calibrated_threshold", "threshold_source", "least_effect"),
    *("calibration", "calibration_caveat", "dtype"),
    *("label", "raised_tokens", "lowered_tokens", "template_share", "explanation", "reach"),
    "carries",
    *("seen_before", "earlier", "n_unscored", "addition_control_p95"),
}
"""Keys that verdicts had not from the start: stored ones without them are still read."""
KEYS = [
    p
    for p in leaves(DOCUMENT)
    if isinstance(p[-1], str) and p[0] not in ("timings", "versions") and p[-1] not in LATER
]


@pytest.mark.parametrize("path", KEYS, ids=lambda path: ".".join(map(str, path)))
def test_a_missing_key_is_named(path: tuple[str | int, ...]) -> None:
    copy = json.loads(json.dumps(DOCUMENT))
    parent = copy
    for key in path[:-1]:
        parent = parent[key]
    del parent[path[-1]]
    with pytest.raises(ValidationError) as caught:
        Verdict.model_validate(copy)
    assert path in [error["loc"] for error in caught.value.errors()]


def test_a_verdict_from_before_the_later_keys_is_read() -> None:
    old = {key: value for key, value in DOCUMENT.items() if key not in LATER}
    (feature,) = DOCUMENT["features"]
    (effect,) = feature["effects"]
    old["features"] = [
        {key: feature[key] for key in feature if key not in LATER}
        | {"effects": [{key: effect[key] for key in effect if key not in LATER}]}
    ]
    old["behaviours"] = [{key: BEHAVIOUR[key] for key in BEHAVIOUR if key not in LATER}]
    verdict = Verdict.model_validate(old)
    assert verdict.calibration is None and verdict.behaviours[0].conformal_p is None


def test_an_unknown_key_is_refused_at_any_depth() -> None:
    with pytest.raises(ValidationError, match="score"):
        Verdict.model_validate(document(behaviours=[{**BEHAVIOUR, "score": 1.0}]))


@pytest.mark.parametrize("field", ["shift", "ci_low", "p_corrected", "noise_floor", "nll_rise"])
def test_not_a_number_is_refused_when_built_and_when_written(field: str) -> None:
    for bad in (float("nan"), float("inf"), float("-inf")):
        with pytest.raises(ValidationError):
            Verdict.model_validate(document(behaviours=[{**BEHAVIOUR, field: bad}]))
        verdict = Verdict.model_validate(DOCUMENT)
        unchecked = verdict.behaviours[0].model_copy(update={field: bad})
        with pytest.raises(ValueError, match="not JSON compliant"):
            to_json(verdict.model_copy(update={"behaviours": [unchecked]}))


def test_not_a_number_in_the_timings_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"timings\.harvest"):
        Verdict.model_validate(document(timings={"harvest": float("nan")}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"severity": None}, "severity is None and verdict is flagged"),
        ({"verdict": "passed", "behaviours": []}, "severity is critical and verdict is passed"),
        ({"verdict": "undecided", "severity": None, "reasons": []}, "without reasons"),
        ({"verdict": "passed", "severity": None}, "passed although sycophancy is flagged"),
        ({"behaviours": [BEHAVIOUR, BEHAVIOUR]}, "stands twice"),
    ],
)
def test_a_verdict_that_contradicts_itself_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Verdict.model_validate(document(**changes))


@pytest.mark.parametrize(
    ("outcome", "severity", "code"),
    [("passed", None, 0), ("flagged", "warning", 1), ("undecided", None, 3)],
)
def test_exit_code(outcome: str, severity: str | None, code: int) -> None:
    verdict = Verdict.model_validate(
        document(verdict=outcome, severity=severity, behaviours=[], features=[])
    )
    assert exit_code(verdict) == code


def test_half_characters_from_a_model_or_a_path_can_still_be_written_and_read() -> None:
    halved = document(line="half \ud800")
    text = to_json(Verdict.model_validate(halved))
    assert Verdict.model_validate_json(text.encode("utf-8")).line == "half ?"


def test_importing_the_data_types_leaves_torch_alone() -> None:
    modules = "alerts.probes.suite, alerts.deciding.statistics, alerts.deciding.policy"
    modules += ", alerts.verdict, alerts.pages.markdown"
    code = f"import sys, {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
