"""JUnit as CI systems read it: a flag fails, an unknown is never a pass."""

from xml.etree import ElementTree as Xml

import pytest

from alerts.pages.junit import to_junit
from alerts.verdict import Verdict
from tests.alerts.samples import HOSTILE, flagged, flagged_json, passed, undecided


def cases(verdict: Verdict) -> dict[str, set[str]]:
    """By case, what stands in it."""
    root = Xml.fromstring(to_junit(verdict).encode())
    outcomes = {"failure", "error", "skipped"}
    return {
        case.get("name", ""): {part.tag for part in case} & outcomes
        for case in root.iter("testcase")
    }


def counts(verdict: Verdict) -> dict[str, str]:
    suite = Xml.fromstring(to_junit(verdict).encode()).find("testsuite")
    assert suite is not None
    return {name: suite.get(name, "") for name in ("tests", "failures", "errors", "skipped")}


def test_a_flagged_behaviour_fails_and_the_others_do_not() -> None:
    found = cases(flagged())
    assert found["verdict"] == {"failure"} == found["sycophancy"]
    assert [name for name, parts in found.items() if "failure" in parts] == [
        "verdict",
        "sycophancy",
    ]
    assert counts(flagged())["failures"] == "2"
    assert counts(flagged())["tests"] == str(2 + len(flagged().behaviours))
    assert "+3.45" in to_junit(flagged())


def test_what_does_not_fail_the_check_fails_no_case() -> None:
    warning = Verdict.model_validate(flagged().model_dump() | {"severity": "warning"})
    for severity, verdict, failures in (
        ("warning", warning, 2),
        ("critical", warning, 0),
        ("critical", flagged(), 2),
    ):
        root = Xml.fromstring(to_junit(verdict, severity).encode())
        assert len(root.findall(".//failure")) == failures
        suite = root.find("testsuite")
        assert suite is not None and suite.get("failures") == str(failures)
        assert "+3.45" in Xml.tostring(root, encoding="unicode")
    undecided_ = Xml.fromstring(to_junit(undecided(), "critical").encode())
    assert len(undecided_.findall(".//error")) == 1


def test_the_case_of_the_verdict_has_the_time_of_all() -> None:
    root = Xml.fromstring(to_junit(flagged()).encode())
    times = {case.get("name"): case.get("time") for case in root.iter("testcase")}
    assert times.pop("verdict") == f"{sum(flagged().timings.values()):.3f}"
    assert set(times.values()) == {None}


def test_a_pass_has_neither_failure_nor_error() -> None:
    assert counts(passed()) | {"tests": ""} == {
        "tests": "",
        "failures": "0",
        "errors": "0",
        "skipped": "0",
    }


def test_an_undecided_verdict_is_an_error_also_where_nothing_was_measured() -> None:
    bare = undecided().model_copy(update={"behaviours": []})
    for verdict in (undecided(), bare):
        assert cases(verdict)["verdict"] == {"error"}
        assert counts(verdict)["errors"] == "1"


def test_of_an_undecided_verdict_no_case_passes() -> None:
    moved = flagged_json()["behaviours"][1] | {"flagged": False}
    spoken = flagged_json()["own_words"]
    data = undecided().model_dump() | {"behaviours": [moved], "own_words": spoken}
    found = cases(Verdict.model_validate(data))
    assert len(found) == 3 and all(found.values()), found


def test_what_was_not_measured_is_skipped() -> None:
    data = flagged_json()
    quiet = data["behaviours"][1]
    quiet |= {"shift": None, "ci_low": None, "ci_high": None, "p_corrected": None}
    name = quiet["name"].replace("_", " ")
    assert cases(Verdict.model_validate(data))[name] == {"skipped"}


@pytest.mark.parametrize("hostile", [HOSTILE, "]]>", "\x00\ufffe"])
def test_hostile_text_stays_text(hostile: str) -> None:
    data = flagged_json()
    data["reasons"] = [hostile]
    data["behaviours"][0]["name"] = f"a{hostile}"
    verdict = Verdict.model_validate(data)
    assert len(cases(verdict)) == 2 + len(verdict.behaviours)
