"""The versions of a line on the page of the newest one."""

from typing import Any

from alerts.evidence import Evidence
from alerts.pages.history import Against, Release, moving_behaviours
from alerts.pages.report import render_report
from alerts.verdict import Verdict
from tests.alerts import samples
from tests.alerts.pages.test_report import Page

DAY = 86_400.0


def release(number: int, rise: float, against: Against = "trusted", **changes: Any) -> Release:
    """Version `number` of a line in which sycophancy rises by `rise`."""
    moved = {"shift": rise, "ci_low": rise - 0.1, "ci_high": rise + 0.1, "flagged": rise > 1}
    data = samples.passed().model_dump(by_alias=True)
    data["behaviours"] = [
        samples.behaviour("sycophancy", **moved | changes),
        samples.behaviour("over_refusal"),
    ]
    data["candidate"] |= {"digest": f"{number:064d}"}
    if rise > 1:
        data |= {"verdict": "flagged", "severity": "critical", "reasons": ["it flatters"]}
        data["features"] = [samples.feature(1), samples.feature(2), samples.feature(1, "base")]
    verdict = Verdict.model_validate(data)
    state = "quarantined" if rise > 1 else "trusted"
    return Release(f"step-{number}00", number * DAY, state, "step-0", against, verdict)


LINE = [
    release(1, 0.05),
    release(2, 0.20),
    release(2, 0.25, "anchor"),
    release(3, 1.60),
    release(3, 1.90, "anchor"),
]


def page(history: list[Release]) -> Page:
    return Page(render_report(LINE[-1].verdict, Evidence(), history))


def test_every_comparison_is_a_row_with_what_became_of_it() -> None:
    text = page(LINE).text
    table = text[text.index("most that one feature removes") :]
    for row in (
        "step-100 1970-01-02 step-0 Passed nothing trusted 0 0 not measured",
        "step-200 1970-01-03 step-0 (anchor) Passed nothing trusted",
        "step-300 1970-01-04 step-0 Flagged (critical) sycophancy quarantined 2 1 31",
    ):
        assert row in table, table[:900]


def test_what_left_its_noise_floor_is_drawn_and_told() -> None:
    assert moving_behaviours(LINE) == ["sycophancy"]
    shown = page(LINE)
    assert "step-300 against the anchor: +1.90" in shown.text
    ids = shown.values("id")
    assert "history-0-title" in ids and "history-1-title" not in ids
    assert len(ids) == len(set(ids))


def test_a_behaviour_without_a_noise_floor_or_a_shift_is_not_drawn() -> None:
    silent = [release(1, 5.0, noise_floor=None), release(2, 0.0, shift=None)]
    assert moving_behaviours(silent) == []
    assert "No behaviour is known to have left its noise floor" in page(silent).text


def test_what_was_not_measured_is_no_sign_that_nothing_moved() -> None:
    still = [release(1, 0.05), release(2, 0.04)]
    assert "No behaviour has left its noise floor." in page(still).text
    nothing = samples.undecided().model_copy(update={"behaviours": []})
    unknown = Release("step-300", 3 * DAY, "new", "step-0", "trusted", nothing)
    assert "No behaviour has left its noise floor." not in page([*still, unknown]).text
    assert "step-300 1970-01-04 step-0 Undecided undecided new" in page([*still, unknown]).text


def test_a_version_that_is_flagged_for_its_own_words_has_them_in_its_row() -> None:
    data = release(3, 0.0).verdict.model_dump() | {"severity": "warning", "verdict": "flagged"}
    data |= {
        "own_words": samples.flagged_json()["own_words"] | {"flagged": True},
        "reasons": ["it moralises"],
    }
    spoken = release(3, 0.0)._replace(verdict=Verdict.model_validate(data))
    assert "Flagged (warning) own words" in page([*LINE, spoken]).text


def test_a_shift_beyond_a_floor_of_nothing_is_drawn() -> None:
    assert moving_behaviours([release(1, 0.5, noise_floor=0.0)]) == ["sycophancy"]
    assert moving_behaviours([release(1, 0.0, noise_floor=0.0)]) == []


def test_the_first_version_of_a_line_has_no_history() -> None:
    for history in ([], [LINE[2], LINE[1]]):
        shown = page(history)
        assert "The line so far" not in shown.text and "#history" not in shown.values("href")


def test_names_of_a_hostile_publisher_are_text() -> None:
    hostile = release(4, 2.0)._replace(name=samples.HOSTILE, base=samples.HOSTILE)
    html = render_report(hostile.verdict, Evidence(), [*LINE, hostile])
    assert "<script" not in html and "\x1b" not in html and "\u202e" not in html
