"""Nulls of two sources: the many do not drown the few."""

from collections.abc import Callable

import numpy as np
import pytest

from alerts.deciding.nulls import Null, ScoreNulls, score_nulls

ALPHA = 0.05
COPIES = 20
DRAWS = 1_500


def nulls(
    *perturbed: float, made_of: str = "suite-1", releases: tuple[float, ...] = ()
) -> ScoreNulls:
    found = [Null(kind="identical", of="the same weights", score=0.0)]
    found += [Null(kind="perturbed", of="noise", score=score) for score in perturbed]
    found += [Null(kind="release", of="v2 after v1", score=score) for score in releases]
    return score_nulls(made_of, found, alpha=ALPHA, reseeding=0.02)


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


@pytest.mark.parametrize("n_releases", [5, 20])
def test_one_more_release_exceeds_the_threshold_as_rarely_as_that_says(n_releases: int) -> None:
    def unusual(known: ScoreNulls, candidate: float) -> bool:
        return known.threshold is not None and candidate > known.threshold

    assert share(n_releases, unusual) <= 1 / (n_releases + 1) + 0.02
