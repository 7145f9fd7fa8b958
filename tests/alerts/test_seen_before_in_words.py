"""Where a feature was seen before: told wherever features are, and only of what was compared."""

from typing import Any

from alerts.pages.markdown import to_markdown
from alerts.pages.report import render_report
from alerts.records.feature import Feature
from alerts.seen_before_in_words import compared_with, likeness, seen_before
from alerts.slack.message import build_message
from alerts.slack.text import render_text
from alerts.verdict import Verdict
from tests.alerts import samples


def feature(*versions: str, **last: Any) -> Feature:
    seen = [samples.SEEN_BEFORE | {"version": version} for version in versions]
    if seen:
        seen[0] |= last
    return Feature.model_validate(samples.feature(1, seen_before=seen))


def test_a_few_versions_are_named_and_the_others_counted() -> None:
    assert seen_before(feature(), str.upper) == ""
    assert seen_before(feature("v9", "v8"), str.upper) == "V9, V8"
    assert seen_before(feature("v9", "v8", "v7", "v6", "v5"), str.upper) == "V9, V8, V7 and 2 more"


def test_how_alike_is_that_of_the_newest_version() -> None:
    assert likeness(feature()) == ""
    said = likeness(feature("v9", "v8", cosine=0.5, label="raises ' fully'"))
    assert said.startswith("there candidate-3, “raises ' fully'”") and "cosine of 0.50" in said
    assert "correlation of 0.88" in said


def test_versions_that_were_not_compared_are_told_with_the_reason() -> None:
    verdict = samples.flagged()
    assert compared_with(verdict) == (
        "New features were compared with those of step_4600. New features were not compared with "
        "those of step_4400: its features were read after block 20, these after 22."
    )
    assert compared_with(verdict.model_copy(update={"earlier": []})) == ""


def test_reviewers_see_it_wherever_features_are_shown() -> None:
    verdict, evidence = samples.flagged(), samples.evidence()
    page, markdown = render_report(verdict, evidence), to_markdown(verdict)
    assert "in step_4600" in page and "in none of the versions it was compared with" in page
    assert page.count("<dt>Seen before</dt>") == 2  # the third was compared with none
    assert "block 20" in page and "block 20" in markdown
    assert [row.count("`step_4600`") for row in _rows(markdown)] == [1, 0, 0, 0]
    assert [row.count("no version") for row in _rows(markdown)] == [0, 1, 0, 0]
    shown = render_text(build_message(verdict, evidence).blocks)
    assert shown.count("seen before in step_4600") == 1


def test_a_first_version_says_nothing_of_earlier_ones() -> None:
    data = samples.flagged_json()
    data["earlier"] = []
    for one in data["features"]:
        one.pop("seen_before", None)
    first = Verdict.model_validate(data)
    page = render_report(first, samples.evidence())
    assert "Seen before" not in page and "were compared" not in page
    assert "seen before" not in render_text(build_message(first, samples.evidence()).blocks)


def _rows(markdown: str) -> list[str]:
    return [line for line in markdown.splitlines() if line.startswith("| `candidate-")] + [
        line for line in markdown.splitlines() if line.startswith("| `base-")
    ]
