"""SARIF as code scanning reads it: a result per finding, the same when it is run again."""

import json
from typing import Any

import pytest
from pydantic import ValidationError
from sarif_pydantic import Sarif

from alerts.pages.sarif import to_sarif
from alerts.verdict import Verdict
from tests.alerts.samples import HOSTILE, flagged, flagged_json, passed, undecided


def run_of(verdict: Verdict) -> dict[str, Any]:
    (run,) = json.loads(to_sarif(verdict))["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules)
    assert {result["ruleId"] for result in run["results"]} <= set(rules)
    return run


def prints(verdict: Verdict) -> list[str]:
    results = run_of(verdict)["results"]
    return [result["partialFingerprints"]["latentwatch/v1"] for result in results]


def test_it_is_sarif_as_others_read_it() -> None:
    for verdict in (flagged(), passed(), undecided()):
        text = to_sarif(verdict)
        read = Sarif.model_validate_json(text)
        assert len(read.runs[0].results or []) == len(run_of(verdict)["results"])
    with pytest.raises(ValidationError):  # the reader minds
        Sarif.model_validate_json(to_sarif(undecided()).replace('"level": "', '"level": "so-'))


def test_a_flagged_behaviour_is_a_result_of_its_rule() -> None:
    (result,) = run_of(flagged())["results"]
    assert (result["ruleId"], result["level"]) == ("sycophancy", "error")
    assert "+3.45" in result["message"]["text"]


@pytest.mark.parametrize(
    "locator, uri",
    [
        ("/models/chat/step 1", "models/chat/step%201"),
        ("hf:org/repo@0a1b", "org/repo@0a1b"),
        ("s3://bucket/chat/step-1", "bucket/chat/step-1"),
        ("../out/./step:1", "out/step%3A1"),
        ("/", "checkpoint"),
    ],
)
def test_a_result_lies_where_code_scanning_shows_it(locator: str, uri: str) -> None:
    data = flagged_json()
    data["candidate"]["locator"] = locator
    (result,) = run_of(Verdict.model_validate(data))["results"]
    (place,) = result["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == uri
    assert place["logicalLocations"][0]["fullyQualifiedName"] == locator
    assert len(set(result["partialFingerprints"].values())) == 1
    assert "primaryLocationLineHash" in result["partialFingerprints"]


def test_a_pass_has_no_result_and_undecided_has_one() -> None:
    assert run_of(passed())["results"] == []
    run = run_of(undecided())
    assert run["invocations"] == [{"executionSuccessful": False}]
    assert [result["ruleId"] for result in run["results"]] == ["undecided"]


def test_a_flag_without_a_shifted_behaviour_is_a_result_too() -> None:
    data = flagged_json()
    for behaviour in data["behaviours"]:
        behaviour["flagged"] = False
    assert [r["ruleId"] for r in run_of(Verdict.model_validate(data))["results"]] == ["features"]


def test_fingerprints_are_of_versions_and_rule_alone() -> None:
    data = flagged_json()
    data["behaviours"][0] |= {"shift": 3.1, "ci_low": 2.0, "ci_high": 4.0}
    data["candidate"]["locator"] = "/elsewhere"
    again = Verdict.model_validate(data)
    assert prints(again) == prints(flagged())
    data["candidate"]["digest"] = "sha256:" + "0" * 64
    assert prints(Verdict.model_validate(data)) != prints(flagged())


def test_hostile_text_breaks_no_json() -> None:
    data = flagged_json()
    data["candidate"]["locator"] = f"/models/{HOSTILE}"
    data["reasons"] = [HOSTILE]
    assert "\x1b" not in to_sarif(Verdict.model_validate(data))
    assert to_sarif(Verdict.model_validate(data)).encode()
