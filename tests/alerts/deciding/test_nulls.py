"""Nulls of two sources: the many do not drown the few."""

from collections.abc import Callable

import numpy as np
import pytest

from alerts.deciding.nulls import LEAST_RELEASES, Null, ScoreNulls, score_nulls
from alerts.deciding.prediction_limit import prediction_limits

ALPHA = 0.05
COPIES = 20
DRAWS = 1_500


def nulls(
    *perturbed: float, made_of: str = "suite-1", releases: tuple[float, ...] = ()
) -> ScoreNulls:
    found = [Null(kind="identical", of="the same weights", score=0.0)]
    found += [Null(kind="perturbed", of="noise", score=score) for score in perturbed]
    found += [Null(kind="release", of="v2 after v1", score=score) for score in releases]
    limit = prediction_limits({"this": releases}, ALPHA).get("this")
    return score_nulls(made_of, found, ALPHA, 0.02, limit)


def share(n_releases: int, unusual: Callable[[ScoreNulls, float], bool]) -> float:
    """How often a candidate that is one more release looks unusual beside copies that hardly
    move."""
    chance = np.random.default_rng(n_releases)
    found = 0
    for _ in range(DRAWS):
        candidate, *releases = chance.normal(0.0, 0.3, 1 + n_releases)
        copies = chance.normal(0.0, 0.02, COPIES)
        found += unusual(nulls(*copies, releases=tuple(releases)), candidate)
    return found / DRAWS


def test_identical_weights_are_shown_and_never_counted() -> None:
    found = nulls(0.1, -0.2)
    assert found.nulls[0].kind == "identical" and found.counted == [0.1, -0.2]
    assert found.noise_floor == 0.2  # in size
    assert (found.threshold, found.threshold_source) == (0.2, "copies")  # as no rise was as large
    alone = nulls()
    assert (alone.counted, alone.threshold, alone.noise_floor) == ([], None, None)
    assert alone.place(1.0) is None and alone.least_p is None


def test_a_rounded_copy_is_a_copy() -> None:
    found = score_nulls("suite-1", [Null(kind="rounded", of="int8", score=-0.3)], ALPHA, None)
    assert (found.of("copies"), found.of("releases"), found.noise_floor) == ([-0.3], [], 0.3)


def test_accepted_releases_raise_the_threshold_and_not_the_floor() -> None:
    found = nulls(0.1, -0.2, releases=(0.4, -0.9))
    assert found.noise_floor == 0.2
    assert (found.threshold, found.threshold_source) == (0.4, "releases")
    assert nulls(0.1, releases=(-0.4,)).threshold_source == "copies"
    assert nulls(releases=(-0.4,)).threshold == -0.4  # releases that all fell ask for that much


def test_the_larger_p_counts_and_names_its_source() -> None:
    found = nulls(*[0.0] * 19, releases=(0.1, 0.2))
    assert found.place(9.0) == (1 / 3, "releases", 2)
    assert found.place(-0.1) == (1.0, "copies", 19)
    assert found.place(None) is None
    assert found.least_p == 1 / 3 and nulls(*[0.0] * 19).least_p == 1 / 20


@pytest.mark.parametrize("n_releases", [1, 5, 20])
def test_one_more_release_has_a_small_p_as_rarely_as_that_says(n_releases: int) -> None:
    def unusual(known: ScoreNulls, candidate: float) -> bool:
        place = known.place(candidate)
        return place is not None and place.p <= ALPHA

    assert share(n_releases, unusual) <= ALPHA + 0.015


@pytest.mark.parametrize("n_releases, chance", [(1, 1 / 2), (5, 1 / 6), (20, ALPHA)])
def test_one_more_release_exceeds_the_threshold_as_rarely_as_that_says(
    n_releases: int, chance: float
) -> None:
    def unusual(known: ScoreNulls, candidate: float) -> bool:
        return known.threshold is not None and candidate > known.threshold

    assert 0.0 < share(n_releases, unusual) <= chance + 0.02


def test_the_spread_of_enough_releases_says_what_a_shift_has_to_exceed() -> None:
    alike = (0.1, 0.12, 0.08, 0.11, 0.09)
    few, enough = nulls(0.01, releases=alike[:4]), nulls(0.01, releases=alike)
    assert (few.threshold, few.release_limit) == (0.12, None)
    assert enough.threshold == 0.12 and enough.release_limit is not None
    assert 0.12 < enough.release_limit < 0.2
    small = score_nulls("suite-1", enough.nulls, ALPHA, None, release_limit=0.05)
    assert small.release_limit == 0.12  # the largest that was seen


def test_a_release_that_fell_far_hides_nothing_that_rises() -> None:
    found = nulls(0.01, releases=(-2.0, 0.0, 0.0, 0.0, 0.0))
    assert found.threshold == 0.01
    assert found.release_limit is not None and found.release_limit > 1.0


@pytest.mark.parametrize("n_releases", [LEAST_RELEASES, 20])
def test_one_more_release_exceeds_the_limit_as_rarely_as_that_says(n_releases: int) -> None:
    def unusual(known: ScoreNulls, candidate: float) -> bool:
        return known.release_limit is not None and candidate > known.release_limit

    assert 0.0 < share(n_releases, unusual) <= ALPHA + 0.015
