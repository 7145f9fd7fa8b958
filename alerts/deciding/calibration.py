"""A line's calibration: what its scores do when nothing has changed, and what follows for a diff.

Plain data and pure functions. Where the nulls come from is in `workers.calibrate`. A calibration
holds scores by name: behaviours, and whatever else is scored per diff.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, NamedTuple, get_args

from pydantic import Field

from alerts.deciding.measured import MeasuredBehaviour
from alerts.deciding.nulls import ScoreNulls
from alerts.records.behaviour import NullSource
from alerts.records.record import Probability, Record
from alerts.verdict import CalibrationSummary, Checkpoint
from alerts.wording import readable


class Calibration(Record):
    """The nulls of one trusted version of a line."""

    schema_: Literal["latentwatch.calibration/1"] = Field(alias="schema")
    line: str
    base: Checkpoint
    recipe: str
    """Digest of the recipe whose suites were measured."""
    created_at: float
    """Seconds since the epoch."""
    alpha: Probability
    """The policy's, for the thresholds."""
    scores: dict[str, ScoreNulls]
    left_out: list[str]
    """Which accepted releases could not be counted, and why."""


class AgedCalibration(NamedTuple):
    """A calibration, and how old it is when a diff is decided."""

    calibration: Calibration
    age_days: float


class Standing(NamedTuple):
    """What of a calibration counts for one diff."""

    scores: Mapping[str, ScoreNulls]
    summary: CalibrationSummary | None
    """None where nothing of it counts."""
    caveat: str | None
    """What is not calibrated, and the remedy."""


def without_limits(calibration: Calibration) -> Calibration:
    """The calibration without what lowers a least effect, for a base that is not the one before
    the candidate: how far one release moves says nothing of how far several do."""
    scores = {
        name: nulls.model_copy(update={"release_limit": None})
        for name, nulls in calibration.scores.items()
    }
    return calibration.model_copy(update={"scores": scores})


def calibration_digest(calibration: Calibration) -> str:
    """SHA-256 (hex) of its JSON."""
    return hashlib.sha256(calibration.model_dump_json().encode()).hexdigest()


def standing(
    aged: AgedCalibration | None,
    *,
    line: str | None,
    base_digest: str,
    made_of: Mapping[str, str],
    maximum_age_days: float,
) -> Standing:
    """What of the line's calibration counts for a diff against `base_digest`.

    `made_of` is by score. Nothing counts of a calibration that is missing, too old or of another
    version, and no score of one that was made of something else.
    """
    why_not = _why_not(aged, line, base_digest, maximum_age_days)
    if aged is None or why_not is not None:
        return Standing({}, None, why_not)
    known = aged.calibration.scores
    scores = {
        name: known[name]
        for name, digest in made_of.items()
        if name in known and known[name].made_of == digest and known[name].counted
    }
    missing = ", ".join(readable(name) for name in made_of if name not in scores)
    caveat = None
    if missing:
        caveat = (
            f"Not calibrated: {missing}. The calibration of this line was made with other suites "
            f"or by another version of latentwatch: {_remedy(line)}."
        )
    if not scores:
        return Standing({}, None, caveat)
    copies, releases = (
        min(len(score.of(source)) for score in scores.values()) for source in get_args(NullSource)
    )
    summary = CalibrationSummary(
        digest=calibration_digest(aged.calibration),
        age_days=aged.age_days,
        n_nulls=copies + releases,
        n_releases=releases,
    )
    return Standing(scores, summary, caveat)


def calibrated(behaviour: MeasuredBehaviour, nulls: ScoreNulls | None) -> MeasuredBehaviour:
    """The behaviour with its p-value among `nulls`, and what they ask of its shift."""
    if nulls is None:
        return behaviour
    low, high, margin = behaviour.ci_low, behaviour.ci_high, None
    if low is not None and high is not None and nulls.reseeding is not None:
        margin = nulls.reseeding * (high - low) / 2
    place = nulls.place(behaviour.shift)
    return replace(
        behaviour,
        conformal_p=place and place.p,
        conformal_source=place and place.source,
        conformal_n=place and place.n,
        calibrated_threshold=nulls.threshold,
        threshold_source=nulls.threshold_source,
        release_limit=nulls.release_limit,
        interval_margin=margin,
    )


def _why_not(
    aged: AgedCalibration | None, line: str | None, base_digest: str, maximum_age_days: float
) -> str | None:
    if line is None:
        return "No calibration: this comparison belongs to no line, and only lines are calibrated."
    if aged is None:
        return f"No calibration of this line: {_remedy(line)}."
    if aged.calibration.base.digest != base_digest:
        return (
            f"No calibration of this line's base: the last one is of "
            f"{aged.calibration.base.locator}; {_remedy(line)}."
        )
    if aged.age_days > maximum_age_days:
        return (
            f"No calibration of this line that still counts: the last one is {aged.age_days:.0f} "
            f"days old, and the policy allows {maximum_age_days:.0f}; {_remedy(line)}."
        )
    return None


def _remedy(line: str | None) -> str:
    return f"run `latentwatch calibrate --line {line}`"
