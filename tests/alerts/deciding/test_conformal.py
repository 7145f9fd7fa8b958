"""Empirical nulls: p-values with ties and few nulls, the threshold, and what a seed moves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.deciding.conformal import conformal_p, conformal_threshold, smallest_p
from alerts.deciding.statistics import reseeding

SCORES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=25)
TEMPLATES = [f"template-{n // 3}" for n in range(24)]


@pytest.mark.parametrize(
    "score, nulls, p",
    [
        (2.0, [0.0, 1.0, 3.0], 2 / 4),
        (2.0, [2.0, 2.0, 1.0], 3 / 4),  # ties count against the score
        (9.0, [0.0] * 19, 1 / 20),
        (-9.0, [0.0] * 19, 1.0),
        (1.0, [], None),
        (None, [0.0, 1.0], None),
    ],
)
def test_p_counts_the_nulls_at_least_as_large(
    score: float | None, nulls: list[float], p: float | None
) -> None:
    assert conformal_p(score, nulls) == p


def test_no_p_is_below_what_the_number_of_nulls_allows() -> None:
    assert smallest_p(0) is None
    for n in (1, 19, 99):
        assert conformal_p(1e9, [0.0] * n) == smallest_p(n) == 1 / (n + 1)


@given(SCORES)
def test_among_exchangeable_scores_small_p_values_are_as_rare_as_they_say(
    scores: list[float],
) -> None:
    p_values = [conformal_p(one, scores[:i] + scores[i + 1 :]) for i, one in enumerate(scores)]
    for level in (0.05, 0.1, 0.25, 0.5):
        assert sum(p is not None and p <= level for p in p_values) <= level * len(scores) + 1e-9


@given(SCORES, st.sampled_from([0.05, 0.1, 0.3]), st.integers(-6, 6).map(float))
def test_a_score_beyond_the_threshold_has_a_small_p(
    nulls: list[float], alpha: float, score: float
) -> None:
    threshold, p = conformal_threshold(nulls, alpha), conformal_p(score, nulls)
    assert threshold in nulls and p is not None
    if score > threshold:
        assert p <= max(alpha, 1 / (len(nulls) + 1)) + 1e-9


def test_the_threshold_is_a_quantile_only_where_there_are_enough_nulls() -> None:
    nulls = [float(n) for n in range(1, 40)]
    assert conformal_threshold(nulls, 0.05) == 38.0  # the 38th of 39
    assert conformal_threshold(nulls[:19], 0.05) == 19.0
    assert conformal_threshold(nulls[:5], 0.05) == 5.0  # as far as five nulls can say
    assert conformal_threshold([], 0.05) is None


def test_a_seed_moves_an_interval_a_little_and_equal_scores_not_at_all() -> None:
    chance = np.random.default_rng(0)
    base = chance.normal(size=24)
    moved = reseeding(base, base + chance.normal(0.2, 0.5, size=24), TEMPLATES)
    assert moved is not None and 0.0 < moved < 0.1
    assert reseeding(base, base, TEMPLATES) == 0.0
    assert reseeding(base, np.full(24, np.nan), TEMPLATES) is None
