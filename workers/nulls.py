"""Pairs of models between which nothing that matters has changed, and what their scores do.

Every score is an artifact, so that a calibration that was killed goes on where it was, and so that
releases which were compared by the same suites and code load no model again.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from alerts.deciding.nulls import LEAST_RELEASES, Null, NullKind, ScoreNulls, score_nulls
from alerts.deciding.policy import Policy
from alerts.deciding.prediction_limit import prediction_limits
from alerts.deciding.statistics import reseeding
from alerts.probes.knowledge import enough
from alerts.probes.shifts import SuiteScores, null_shift
from alerts.probes.suite import Suite
from dfc.perturbation import Noise, Rounding
from monitor.errors import CheckpointRefusedError
from workers.context import Context
from workers.errors import CalibrationError, ModelLoadError
from workers.item_scores import (
    Scores,
    copy_scores,
    floats,
    model_scores,
    noisy_nulls,
    not_known_to,
    score_digest,
)
from workers.job import Job
from workers.models import Models

INT8 = Rounding(bits=8)
UNCHANGED = Noise(relative=0.0, seed=0)

ModelScores = dict[str, Scores]
"""Item scores of one model, by behaviour."""


class Release(NamedTuple):
    """An accepted release against the version that it was compared with."""

    name: str
    job: Job
    quiet: Collection[str]
    """Behaviours of which it is a null."""


class NullPair(NamedTuple):
    """The item scores of one pair, of the behaviours of which it is a null."""

    kind: NullKind
    of: str
    base: ModelScores
    other: ModelScores
    unknown: Mapping[str, Collection[str]]
    """By behaviour the ids of the items that do not apply."""


def numeric_pairs(context: Context, copies: int) -> list[NullPair]:
    """The base of `context` against itself, against as many noisy copies, and rounded to int8.

    Raises CalibrationError when the base does not score exactly as itself.
    """
    with _stage(context, "identical"):
        # Loaded and scored twice: a result read back from the store would prove nothing.
        base, again = copy_scores(context, UNCHANGED, UNCHANGED)
    apart = [name for name in base if base[name] != again[name]]
    if apart:
        raise CalibrationError(
            f"{context.job.base.locator}: the same weights, scored twice, gave two results on "
            f"{', '.join(apart)}; set OMP_NUM_THREADS to a fixed number, empty store_dir and run "
            "this again. Nothing was calibrated"
        )
    with _stage(context, "noisy copies"):
        noisy = noisy_nulls(context, copies)
    with _stage(context, "rounded"):
        (rounded,) = copy_scores(context, INT8)
    unknown = _unknown(context, context.inputs.behaviour_suites)
    return [
        NullPair("identical", "the same weights", base, again, unknown),
        *(
            NullPair("perturbed", f"noise {seed}", base, copy, unknown)
            for seed, copy in enumerate(noisy)
        ),
        NullPair("rounded", "int8", base, rounded, unknown),
    ]


def release_pairs(
    context: Context, releases: Sequence[Release]
) -> tuple[list[NullPair], list[str]]:
    """The releases by the suites and code of now; and which could not be scored, with the reason.

    A shift from a stored verdict would belong to the suites and the code of its time.
    """
    pairs, left_out = [], []
    with _stage(context, "releases"):
        for done, release in enumerate(releases):
            context.progress.step("accepted releases", done, len(releases))
            suites = [s for s in context.inputs.behaviour_suites if s.behaviour in release.quiet]
            if not suites:
                left_out.append(f"{release.name}: every behaviour was flagged or not measured")
                continue
            at = replace(context, job=release.job, models=Models(release.job))
            try:
                base, candidate = (
                    {suite.behaviour: model_scores(at, name, suite) for suite in suites}
                    for name in ("base", "candidate")
                )
                unknown = _unknown(at, suites)
            except (CheckpointRefusedError, ModelLoadError) as error:
                left_out.append(f"{release.name}: {error}")
                continue
            pairs.append(NullPair("release", release.name, base, candidate, unknown))
    return pairs, left_out


def nulls_of(
    suites: Sequence[Suite], pairs: Sequence[NullPair], policy: Policy
) -> dict[str, ScoreNulls]:
    """By behaviour the shifts of all pairs on its suite, over the items that apply, and what they
    ask of a candidate."""
    found = {suite.behaviour: _nulls_on(suite, pairs, policy.maximum_unscored) for suite in suites}
    releases = {
        name: [one.null.score for one in ones if one.null.kind == "release"]
        for name, ones in found.items()
    }
    # Few of one suite would say little of it, and blur what the others have in common.
    releases = {name: ones for name, ones in releases.items() if len(ones) >= LEAST_RELEASES}
    limits = prediction_limits(releases, policy.alpha)
    return {
        suite.behaviour: score_nulls(
            score_digest(suite),
            [one.null for one in found[suite.behaviour]],
            policy.alpha,
            _reseeding(found[suite.behaviour]),
            limits.get(suite.behaviour),
        )
        for suite in suites
    }


class _Scored(NamedTuple):
    null: Null
    kept: SuiteScores


def _nulls_on(suite: Suite, pairs: Sequence[NullPair], maximum_unscored: float) -> list[_Scored]:
    """A pair in which too few items apply or were scored is no null."""
    name = suite.behaviour
    found = []
    for pair in (pair for pair in pairs if name in pair.base):
        kept = SuiteScores(
            suite, floats(pair.base[name]), floats(pair.other[name]), [], pair.unknown[name]
        ).applicable()
        shift = null_shift(kept.base, kept.candidate)
        if shift is None or not enough(kept.suite, suite):
            continue
        missing = 1.0 - np.isfinite(np.subtract(kept.candidate, kept.base)).mean()
        if missing <= maximum_unscored:
            found.append(_Scored(Null(kind=pair.kind, of=pair.of, score=shift), kept))
    return found


def _reseeding(found: Sequence[_Scored]) -> float | None:
    """Of the largest null."""
    if not found:
        return None
    kept = max(found, key=lambda one: abs(one.null.score)).kept
    return reseeding(kept.base, kept.candidate, kept.suite.templates)


def _unknown(context: Context, suites: Sequence[Suite]) -> dict[str, list[str]]:
    return {suite.behaviour: list(not_known_to(context, suite)) for suite in suites}


@contextmanager
def _stage(context: Context, name: str) -> Iterator[None]:
    context.progress.begin(name)
    start = context.clock()
    yield
    context.progress.end(name, context.clock() - start, False)
