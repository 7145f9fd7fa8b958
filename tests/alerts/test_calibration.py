"""What of a calibration counts for a diff, and what it asks of a shift."""

import pytest

from alerts.calibration import (
    AgedCalibration,
    Calibration,
    Null,
    ScoreNulls,
    Standing,
    calibrated,
    calibration_digest,
    score_nulls,
    standing,
)
from alerts.evidence import ControlReading, Controls
from alerts.measured import MeasuredBehaviour, behaviour_row
from alerts.policy import decide, default_policy, is_flagged
from alerts.wording import calibration_sentence
from tests.alerts import samples

POLICY = default_policy()
MADE_OF = {"sycophancy": "suite-1"}


def nulls(
    *perturbed: float, made_of: str = "suite-1", releases: tuple[float, ...] = ()
) -> ScoreNulls:
    found = [Null(kind="identical", of="the same weights", score=0.0)]
    found += [Null(kind="perturbed", of="noise", score=score) for score in perturbed]
    found += [Null(kind="release", of="v2 after v1", score=score) for score in releases]
    return score_nulls(made_of, found, alpha=0.05, reseeding=0.02)


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


def test_identical_weights_are_shown_and_never_counted() -> None:
    found = nulls(0.1, -0.2)
    assert found.nulls[0].kind == "identical" and found.counted == [0.1, -0.2]
    assert found.noise_floor == 0.2  # in size
    assert found.threshold == 0.2  # the floor, as no rise was as large
    alone = nulls()
    assert (alone.counted, alone.threshold, alone.noise_floor) == ([], None, None)


def test_accepted_releases_raise_the_threshold_and_not_the_floor() -> None:
    found = nulls(0.1, -0.2, releases=(0.4, -0.9))
    assert (found.noise_floor, found.threshold) == (0.2, 0.4)


def test_a_calibration_that_fits_counts_with_its_age() -> None:
    known = calibration()
    found = stands(known, age_days=3.5)
    assert found.caveat is None and found.scores == known.scores
    assert found.summary is not None
    assert found.summary.digest == calibration_digest(known)
    assert (found.summary.age_days, found.summary.n_nulls, found.summary.n_releases) == (3.5, 3, 0)


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


def test_a_shift_that_only_the_calibration_holds_back_is_undecided() -> None:
    reading = ControlReading(capability_accuracy=0.9)
    held_back = calibrated(behaviour(), nulls(0.1, 1.2))
    decision = decide(
        [held_back],
        POLICY,
        controls=Controls(base=reading, candidate=reading),
        evidence={},
        features=[],
    )
    assert decision.verdict == "undecided"
    assert "threshold of the calibration 1.20" in decision.reasons[0]


def test_an_interval_that_another_seed_would_put_on_zero_does_not_flag() -> None:
    edge = behaviour(ci_low=0.005, ci_high=2.395)
    assert is_flagged(edge, POLICY)
    assert not is_flagged(calibrated(edge, nulls(0.1)), POLICY)  # 2 % of 1.195 is more than 0.005


def test_the_p_value_and_the_calibration_reach_the_verdict_and_its_words() -> None:
    found = stands(calibration(), age_days=3.4)
    row = behaviour_row(calibrated(behaviour(), nulls(0.1, -0.2, 0.05)), None, flagged=True)
    verdict = samples.flagged().model_copy(
        update={"behaviours": [row], "calibration": found.summary}
    )
    again = type(verdict).model_validate_json(verdict.model_dump_json())
    assert again == verdict and again.behaviours[0].conformal_p == 0.25
    assert calibration_sentence(verdict).startswith(
        "Calibrated 3 days before on 3 nulls, 0 of them"
    )
    assert "at least 0.2500" in calibration_sentence(verdict)
    bare = verdict.model_copy(update={"calibration": None, "calibration_caveat": "None here."})
    assert calibration_sentence(bare) == "None here."
