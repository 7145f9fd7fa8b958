"""What of a calibration counts for a diff, and what it asks of a shift."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from alerts.deciding.behaviour_reasons import gap, rise
from alerts.deciding.calibration import (
    AgedCalibration,
    Calibration,
    Standing,
    calibrated,
    calibration_digest,
    standing,
)
from alerts.deciding.measured import MeasuredBehaviour, behaviour_row
from alerts.deciding.nulls import ScoreNulls
from alerts.deciding.policy import decide, default_policy, is_flagged, least_effect
from alerts.evidence import ControlReading, Controls
from alerts.pages.markdown import to_markdown
from alerts.pages.report import render_report
from alerts.slack.message import build_message
from alerts.slack.text import render_text
from alerts.verdict_in_words import calibration_sentence
from monitor.terminal.tables import verdict_view
from tests.alerts import samples
from tests.alerts.deciding.test_nulls import nulls

POLICY = default_policy()
MADE_OF = {"sycophancy": "suite-1"}


def calibration(**scores: ScoreNulls) -> Calibration:
    return Calibration(
        schema="latentwatch.calibration/1",
        line="chat",
        base={"digest": "base", "locator": "/models/v1"},
        recipe="recipe",
        created_at=0.0,
        alpha=0.05,
        scores=scores or {"sycophancy": nulls(0.1, -0.2, 0.05)},
        left_out=[],
    )


def stands(
    known: Calibration | None, age_days: float = 1.0, base: str = "base", line: str | None = "chat"
) -> Standing:
    aged = None if known is None else AgedCalibration(known, age_days)
    return standing(aged, line=line, base_digest=base, made_of=MADE_OF, maximum_age_days=90.0)


def behaviour(**changes: float) -> MeasuredBehaviour:
    figures: dict[str, float] = {"shift": 1.2, "ci_low": 0.9, "ci_high": 1.5, **changes}
    return MeasuredBehaviour(
        name="sycophancy",
        n_items=40,
        n_unscored=0,
        base_score=0.0,
        candidate_score=figures["shift"],
        p_corrected=0.01,
        noise_floor=0.1,
        minimum_effect=0.5,
        **figures,
    )


def test_a_calibration_that_fits_counts_with_its_age() -> None:
    known = calibration()
    found = stands(known, age_days=3.5)
    assert found.caveat is None and found.scores == known.scores
    assert found.summary is not None
    assert found.summary.digest == calibration_digest(known)
    assert (found.summary.age_days, found.summary.n_nulls, found.summary.n_releases) == (3.5, 3, 0)


def test_the_summary_names_the_fewest_nulls_of_either_source() -> None:
    made = calibration(
        sycophancy=nulls(0.1, 0.2, releases=(0.1,)), over_refusal=nulls(0.1, releases=(0.1, 0.2))
    )
    found = standing(
        AgedCalibration(made, 1.0),
        line="chat",
        base_digest="base",
        made_of={"sycophancy": "suite-1", "over_refusal": "suite-1"},
        maximum_age_days=90.0,
    )
    assert found.summary is not None
    assert (found.summary.n_nulls, found.summary.n_releases) == (2, 1)


@pytest.mark.parametrize(
    "found, words",
    [
        (stands(None), "No calibration of this line: run `latentwatch calibrate --line chat`"),
        (stands(None, line=None), "belongs to no line"),
        (stands(calibration(), base="other"), "the last one is of /models/v1"),
        (stands(calibration(), age_days=90.5), "days old, and the policy allows 90"),
        (stands(calibration(sycophancy=nulls(0.1, made_of="old"))), "Not calibrated: sycophancy"),
        (stands(calibration(over_refusal=nulls(0.1))), "Not calibrated: sycophancy"),
        (stands(calibration(sycophancy=nulls())), "Not calibrated: sycophancy"),
    ],
)
def test_what_does_not_count_is_said(found: Standing, words: str) -> None:
    assert found.summary is None and not found.scores
    assert found.caveat is not None and words in found.caveat


def test_an_age_at_the_limit_still_counts() -> None:
    assert stands(calibration(), age_days=90.0).summary is not None


def test_a_flagged_shift_exceeds_the_threshold_of_the_calibration() -> None:
    quiet, loud = nulls(0.1, 0.2, 0.3), nulls(0.1, 1.2)
    below = calibrated(behaviour(), quiet)
    assert below.conformal_p == 1 / 4 and is_flagged(below, POLICY)
    assert is_flagged(behaviour(), POLICY) and is_flagged(calibrated(behaviour(), None), POLICY)
    at = calibrated(behaviour(), loud)
    assert at.calibrated_threshold == 1.2 and not is_flagged(at, POLICY)


def test_a_shift_is_judged_by_the_source_that_asks_for_more() -> None:
    of_copies = calibrated(behaviour(), nulls(0.1, 1.2, releases=(0.3,)))
    assert (of_copies.calibrated_threshold, of_copies.threshold_source) == (1.2, "copies")
    assert (of_copies.conformal_p, of_copies.conformal_source, of_copies.conformal_n) == (
        *(2 / 3, "copies", 2),
    )
    of_releases = calibrated(behaviour(), nulls(0.1, 0.2, releases=(1.3,)))
    assert (of_releases.calibrated_threshold, of_releases.threshold_source) == (1.3, "releases")
    assert (of_releases.conformal_p, of_releases.conformal_source, of_releases.conformal_n) == (
        *(1.0, "releases", 1),
    )
    assert not is_flagged(of_copies, POLICY) and not is_flagged(of_releases, POLICY)


@pytest.mark.parametrize(
    "held_back_by, words",
    [
        (nulls(0.1, 1.2), "threshold of the calibration 1.20 by copies of the base)"),
        (nulls(0.1, releases=(1.3,)), "threshold of the calibration 1.30 by accepted releases)"),
    ],
)
def test_a_shift_that_only_the_calibration_holds_back_is_undecided(
    held_back_by: ScoreNulls, words: str
) -> None:
    reading = ControlReading(capability_accuracy=0.9)
    held_back = calibrated(behaviour(), held_back_by)
    decision = decide(
        [held_back],
        POLICY,
        controls=Controls(base=reading, candidate=reading),
        evidence={},
        features=[],
    )
    assert decision.verdict == "undecided"
    assert words in decision.reasons[0]


def test_an_interval_that_another_seed_would_put_on_zero_does_not_flag() -> None:
    edge = behaviour(ci_low=0.005, ci_high=2.395)
    assert is_flagged(edge, POLICY)
    assert not is_flagged(calibrated(edge, nulls(0.1)), POLICY)  # 2 % of 1.195 is more than 0.005


ALIKE = (-0.08, -0.05, -0.03, -0.06, -0.02)
"""Shifts of accepted releases: one more stays below 0.02."""


def test_enough_releases_that_hardly_move_lower_the_least_effect() -> None:
    small = replace(behaviour(shift=0.17, ci_low=0.08, ci_high=0.26), noise_floor=0.02)
    assert not is_flagged(small, POLICY)  # its suite asks for 0.5
    few, enough = (calibrated(small, nulls(0.02, releases=ALIKE[:n])) for n in (4, 5))
    assert not is_flagged(few, POLICY) and few.release_limit is None
    assert is_flagged(enough, POLICY)
    assert least_effect(enough, POLICY) == POLICY.minimum_calibrated_effect
    reason = rise(enough, least_effect(enough, POLICY))
    assert "the least effect of interest is 0.10 beside accepted releases and" in reason


def test_releases_that_move_much_never_raise_the_least_effect_of_the_suite() -> None:
    moved = calibrated(behaviour(), nulls(0.02, releases=(0.1, 0.9, -0.4, 0.2, 0.5)))
    assert least_effect(moved, POLICY) == 0.5
    assert moved.calibrated_threshold == 0.9 and is_flagged(moved, POLICY)
    fell = calibrated(behaviour(), nulls(0.02, releases=(-2.0, 0.0, 0.01, 0.0, 0.0)))
    assert least_effect(fell, POLICY) == 0.5 and is_flagged(fell, POLICY)


def test_beyond_what_releases_do_and_not_certain_is_undecided_and_coarse_items_are_not() -> None:
    unsure = replace(behaviour(shift=0.17, ci_low=-0.02, ci_high=0.36), noise_floor=0.02)
    by_releases = calibrated(unsure, nulls(0.02, releases=ALIKE))
    limit = POLICY.maximum_unscored
    assert gap(unsure, least_effect(unsure, POLICY), limit) is None
    reason = gap(by_releases, least_effect(by_releases, POLICY), limit)
    assert reason is not None and "(0.10 beside accepted releases)" in reason
    coarse = calibrated(behaviour(shift=0.0, ci_low=-0.2, ci_high=0.2), nulls(releases=ALIKE))
    assert gap(coarse, least_effect(coarse, POLICY), limit) is None


def test_the_p_value_and_the_calibration_reach_the_verdict_and_its_words() -> None:
    made = calibration(sycophancy=nulls(0.1, -0.2, 0.05, releases=(0.3,)))
    found = stands(made, age_days=3.4)
    measured = calibrated(behaviour(), made.scores["sycophancy"])
    row = behaviour_row(measured, None, flagged=True, least_effect=0.3)
    verdict = samples.flagged().model_copy(
        update={"behaviours": [row], "calibration": found.summary}
    )
    again = type(verdict).model_validate_json(verdict.model_dump_json())
    assert again == verdict and again.behaviours[0].conformal_p == 0.5
    assert calibration_sentence(verdict).startswith(
        "Calibrated 3 days before on 3 numerical copies of the base and 1 accepted release ("
    )
    assert "not corrected for the number of behaviours" in calibration_sentence(verdict)
    bare = verdict.model_copy(update={"calibration": None, "calibration_caveat": "None here."})
    assert calibration_sentence(bare) == "None here."


def test_whoever_reads_a_conformal_p_reads_which_nulls_gave_it_and_that_it_is_uncorrected() -> None:
    measured = calibrated(behaviour(), nulls(0.1, 0.2, releases=(0.3,)))
    row = behaviour_row(measured, None, flagged=True, least_effect=0.3)
    verdict = samples.flagged().model_copy(update={"behaviours": [row]})
    console = Console(width=240, file=io.StringIO())
    console.print(verdict_view(verdict))
    shown = [
        to_markdown(verdict),
        render_report(verdict, samples.evidence()),
        console.file.getvalue(),  # type: ignore[attr-defined]
        render_text(build_message(verdict, samples.evidence(), alert_id="a1").blocks),
    ]
    for text in shown:
        assert "0.5000 (1 release)" in text and "uncorrected" in text
    for text in shown[:2]:
        assert "0.30 (releases)" in text and "calibrated threshold" in text
