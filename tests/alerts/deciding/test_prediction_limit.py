"""How far one more release will move every score."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator

from alerts.deciding.prediction_limit import LEAST_SCORES, prediction_limits

ALPHA = 0.05
SCORES = 11
DRAWS = 3000

Draw = Callable[[Generator, int], np.ndarray]
"""Releases with their scores, [n, SCORES]."""


def alike(random: Generator, n: int) -> np.ndarray:
    return random.normal(0.1, 0.06, (n, SCORES))


def together(random: Generator, n: int) -> np.ndarray:
    """A release that moves one score moves all."""
    return 0.06 * np.sqrt(0.5) * (random.normal(size=(n, 1)) + random.normal(size=(n, SCORES)))


def unequal(random: Generator, n: int) -> np.ndarray:
    """Every score has a spread of its own."""
    return random.normal(0.0, 0.06 * np.sqrt(8 / random.chisquare(8, SCORES)), (n, SCORES))


def exceeded(draw: Draw, n: int) -> float:
    """How often one more release exceeds any of its limits."""
    random, found = np.random.default_rng(n), 0
    for _ in range(DRAWS):
        x_RS = draw(random, n + 1)
        limits = prediction_limits({str(s): x_RS[:n, s].tolist() for s in range(SCORES)}, ALPHA)
        found += any(x_RS[n, s] > limits[str(s)] for s in range(SCORES))
    return found / DRAWS


@pytest.mark.parametrize("draw", [alike, together, unequal])
@pytest.mark.parametrize("n", [5, 20])
def test_one_more_release_stays_below_all_limits_as_often_as_they_say(draw: Draw, n: int) -> None:
    assert 0.02 < exceeded(draw, n) < ALPHA + 0.02


def test_scores_of_one_kind_say_more_together_than_each_alone() -> None:
    x_RS = alike(np.random.default_rng(0), 6)
    known = {str(s): x_RS[:, s].tolist() for s in range(SCORES)}
    joint = prediction_limits(known, ALPHA)
    alone = {name: prediction_limits({name: x}, ALPHA / SCORES)[name] for name, x in known.items()}
    above = {name: joint[name] - np.mean(known[name]) for name in known}
    assert len({round(width, 9) for width in above.values()}) == 1  # they differ by chance alone
    assert np.mean([joint[name] < alone[name] for name in known]) > 0.8


def test_a_score_that_varies_much_more_than_the_others_keeps_a_wider_limit() -> None:
    random = np.random.default_rng(1)
    known = {str(s): random.normal(0.0, 0.06, 8).tolist() for s in range(6)}
    known["wild"] = random.normal(0.0, 3.0, 8).tolist()
    limits = prediction_limits(known, ALPHA)
    assert limits["wild"] - np.mean(known["wild"]) > 5 * (limits["0"] - np.mean(known["0"]))


def test_few_scores_are_taken_each_by_itself() -> None:
    """By Hahn's formula with t(0.95, 4) = 2.132."""
    x = [0.1, 0.2, 0.3, 0.4, 0.5]
    expected = 0.3 + 2.1318 * np.std(x, ddof=1) * np.sqrt(1.2)
    assert prediction_limits({"one": x}, ALPHA)["one"] == pytest.approx(expected, abs=1e-4)
    assert LEAST_SCORES > 2


def test_too_few_releases_give_no_limit_and_equal_ones_a_finite_one() -> None:
    assert prediction_limits({"none": [], "one": [0.1]}, ALPHA) == {}
    still = {name: [0.0] * 5 for name in "abc"}
    assert prediction_limits(still, ALPHA) == dict.fromkeys("abc", 0.0)
    one_moves = prediction_limits({**still, "d": [0.1, 0.2, 0.1, 0.3, 0.2]}, ALPHA)
    assert all(np.isfinite(limit) for limit in one_moves.values())
