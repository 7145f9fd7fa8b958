"""How certain it is how much of a distance is taken away."""

import numpy as np
import pytest

from alerts.deciding.distance_interval import distance_interval
from alerts.deciding.resampling import Floats

TEMPLATES = [str(n // 3) for n in range(36)]


def drawn(part: float, noise: float, seed: int, skew: bool = False) -> tuple[Floats, Floats]:
    """Squares of what is left of 36 shifts, and of the shifts."""
    draw = np.random.default_rng(seed)
    shift_I = draw.lognormal(0, 0.5, 36) if skew else draw.normal(1, 0.5, 36)
    return ((1 - part) * shift_I + draw.normal(0, noise, 36)) ** 2, shift_I**2


def test_it_holds_what_is_taken_away_and_is_wider_where_items_differ() -> None:
    exact = distance_interval(*drawn(0.4, 0.0, 0), TEMPLATES)
    assert exact == pytest.approx((0.4, 0.4))
    low, high = distance_interval(*drawn(0.4, 0.3, 0), TEMPLATES) or (0.0, 0.0)
    wide, far = distance_interval(*drawn(0.4, 0.6, 0), TEMPLATES) or (0.0, 0.0)
    assert low < 0.4 and high - low < far - wide


def test_nothing_left_is_all_of_it() -> None:
    _, whole_I = drawn(1.0, 0.0, 0)
    assert distance_interval(np.zeros(36), whole_I, TEMPLATES) == pytest.approx(
        (1.0, 1.0), abs=1e-5
    )


def test_items_without_a_score_do_not_count() -> None:
    left_I, whole_I = drawn(0.4, 0.3, 1)
    part = distance_interval(left_I[:33], whole_I[:33], TEMPLATES[:33])
    left_I[33:] = np.nan
    assert distance_interval(left_I, whole_I, TEMPLATES) == part


def test_where_nothing_is_taken_away_it_seldom_says_that_something_is() -> None:
    above = []
    for seed in range(600):
        _, whole_I = drawn(0.0, 0.0, seed, skew=True)
        noise_C = np.random.default_rng(10_000 + seed).normal(0, 0.3, 12)
        left_I = whole_I * np.repeat(1 + noise_C, 3)
        above.append((distance_interval(left_I, whole_I, TEMPLATES) or (0.0, 0.0))[0] > 0)
    assert 0.0 < np.mean(above) <= 0.06


@pytest.mark.parametrize("templates", [["t"] * 36, ["t"] * 33 + ["u"] * 3, ["t", "u"] * 18])
def test_of_too_few_templates_that_have_moved_nothing_is_known(templates: list[str]) -> None:
    left_I, whole_I = drawn(0.4, 0.3, 1)
    whole_I[33:] = left_I[33:] = 0.0
    assert distance_interval(left_I, whole_I, templates) is None


@pytest.mark.parametrize("skew", [False, True])
def test_it_holds_the_truth_about_as_often_as_it_says(skew: bool) -> None:
    many = [drawn(0.3, 0.3, seed, skew) for seed in range(400)]
    left, whole = (sum(part[n].sum() for part in many) for n in (0, 1))
    truth = 1 - float(np.sqrt(left / whole))
    found = [distance_interval(*one, TEMPLATES) or (9.0, 9.0) for one in many]
    held = np.mean([low <= truth <= high for low, high in found])
    assert 0.88 <= held <= 0.98
