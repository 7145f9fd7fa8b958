import re

import pytest

from alerts.pages.markdown import to_markdown
from alerts.verdict import Verdict
from tests.alerts.samples import (
    HOSTILE,
    SEEN_BEFORE,
    feature,
    flagged,
    flagged_json,
    passed,
    undecided,
)

_BAR = re.compile(r"(?<!\\)\|")  # what ends a cell, in code spans too


def rows(markdown: str, title: str) -> list[list[str]]:
    """The cells below the header of the table under `title`."""
    lines = markdown.split(f"### {title}\n\n")[1].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in _BAR.split(line)[1:-1]] for line in lines]
    assert {len(row) for row in cells} == {len(cells[0])}
    return cells[2:]


def test_a_flagged_verdict_shows_reasons_figures_and_causes() -> None:
    verdict = flagged()
    most, *less = verdict.behaviours
    told = [most.model_copy(update={"least_effect": 0.17}), *less]
    markdown = to_markdown(verdict.model_copy(update={"behaviours": told}))
    assert markdown.lower().startswith("## latentwatch: flagged (critical)\n")
    assert "\n- sycophancy rose by 3.45" in markdown
    first, *others = rows(markdown, "Behaviours")
    assert first[0] == "`sycophancy`"
    assert first[4:9] == ["+3.45", "2.98 to 3.91", "p = 0.0003", "0.12", "0.17"]
    assert first[9:] == ["not measured", "not measured", "**yes**"]  # conformal p, threshold
    assert [row[-1] for row in others] == ["no", "no"]
    assert others[1][-5] == "not measured"  # noise floor
    (cause,) = rows(markdown, "What removes the shift")
    assert cause[3].replace("\u202f", " ") == "52 %"
    assert len(rows(markdown, "Features")) == 4


def test_what_is_not_known_is_not_told_as_unflagged() -> None:
    bare = flagged_json()["behaviours"][1]
    unmeasured = bare | {"shift": None, "ci_low": None, "ci_high": None, "p_corrected": None}
    data = undecided().model_dump() | {"behaviours": [bare, unmeasured | {"name": "other"}]}
    told = rows(to_markdown(Verdict.model_validate(data)), "Behaviours")
    assert [row[-1] for row in told] == ["undecided", "not measured"]


def test_empty_parts_are_left_out() -> None:
    for verdict in (passed(), undecided()):
        markdown = to_markdown(verdict)
        assert "### Features" not in markdown
        assert "### What removes" not in markdown
        assert "None" not in markdown


def test_hostile_text_stays_inside_its_cell_and_calls_nobody() -> None:
    nasty = HOSTILE + " | a ``` b\n# heading"
    document = flagged_json() | {
        "line": nasty,
        "reasons": [nasty],
        "features": [
            feature(
                1,
                top_tokens=[nasty, "`", "|", "a | b", "\n"],
                seen_before=[SEEN_BEFORE | {"version": nasty}],
                label=nasty,
                carries=[{"candidate": nasty, "base": nasty, "part": 0.7}] * 3,
            )
        ],
        "earlier": [{"name": nasty, "not_compared": nasty}],
    }
    markdown = to_markdown(Verdict.model_validate(document))
    assert len(rows(markdown, "Features")) == 1
    assert "\n# heading" not in markdown
    assert "\x1b" not in markdown and "\u202e" not in markdown
    reason = next(line for line in markdown.splitlines() if line.startswith("- "))
    assert "\\<script\\>" in reason
    assert "@everyone" not in reason and "@\u200beveryone" in reason


@pytest.mark.parametrize(
    "address", ["https://evil.example/a", "ftp://evil.example", "my_www.evil.example"]
)
def test_no_address_in_a_reason_becomes_a_link(address: str) -> None:
    markdown = to_markdown(undecided().model_copy(update={"reasons": [f"Approve at {address}"]}))
    shown = markdown.replace("\\_", "_")
    assert "Approve at" in shown and address not in shown
    assert address in shown.replace("\u200b", "")
