"""The dialog in which a reviewer asks for more offers what there is, within Slack's limits."""

from typing import Any

from alerts.slack.question import question_modal


def what(suites: list[str], waiting: dict[int, str]) -> dict[str, Any]:
    view = question_modal(
        "t", "C0", "v2", [], suites, seeds=False, waiting=waiting, model_text=True
    )
    element: dict[str, Any] = view["blocks"][1]["element"]
    return element


def test_cancelling_is_not_chosen_before_anybody_has_chosen() -> None:
    element = what(["honesty"], {7: "the probe suite x"})
    assert [option["value"] for option in element["options"]] == ["suite:honesty", "cancel:7"]
    assert element["initial_option"]["value"] == "suite:honesty"


def test_where_there_are_too_many_suites_what_waits_can_still_be_cancelled() -> None:
    options = what([f"suite_{n}" for n in range(120)], {7: "x", 8: "y"})["options"]
    assert len(options) == 100
    assert [option["value"] for option in options[-3:]] == [
        "suite:suite_97",
        "cancel:7",
        "cancel:8",
    ]
