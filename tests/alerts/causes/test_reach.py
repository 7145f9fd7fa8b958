"""Turning up a feature moves a behaviour that has not shifted, and random directions do not."""

import numpy as np
import pytest
import torch

from alerts.causes.random_directions import difference_directions
from alerts.causes.reach import ReachPlan, family_controls, measure_reach
from alerts.deciding.statistics import Floats
from alerts.records.feature import Reach
from tests.alerts.causes.agreeing import (
    DIFFERENCE_ND,
    MODELS,
    NEUTRAL_ROWS,
    TRUE,
    suite,
)

PLAN = ReachPlan(features=2, maximum_nll_rise=100.0)


def beyond(found: dict[int, list[Reach]]) -> bool:
    return any(abs(one.effect) > one.control for row in found.values() for one in row)


def test_the_feature_that_writes_the_read_out_moves_the_behaviour() -> None:
    unrelated = suite().model_copy(update={"behaviour": "unrelated"})
    found = measure_reach(
        MODELS.candidate, [suite(), unrelated], TRUE, [0, 1], DIFFERENCE_ND, NEUTRAL_ROWS, PLAN
    )
    moved, idle = found[0][0], found[1][0]
    assert moved.behaviour == "agreeing" and moved.gain == 2.0
    assert moved.effect > moved.control > 0
    assert abs(idle.effect) < idle.control
    # Both suites ask the same, so each must get its own rows back.
    assert [one.effect for one in found[0]] == [moved.effect] * 2


def test_no_gain_that_neutral_text_does_not_bear_is_used() -> None:
    bearable = ReachPlan(features=1, maximum_nll_rise=-100.0)
    assert (
        measure_reach(MODELS.candidate, [suite()], TRUE, [0], DIFFERENCE_ND, NEUTRAL_ROWS, bearable)
        == {}
    )


def test_features_that_are_random_directions_themselves_seldom_reach_anything() -> None:
    wrong = 0
    for seed in range(60):
        plan = ReachPlan(3, items=1, controls=3, maximum_nll_rise=100.0, seed=10 * seed)
        random_KD = difference_directions(DIFFERENCE_ND, len(TRUE.bias_K), 1_000 + seed)
        bank = TRUE._replace(decoder_KD=random_KD)
        found = measure_reach(
            MODELS.candidate, [suite()], bank, [0, 1, 2], DIFFERENCE_ND, NEUTRAL_ROWS[:1], plan
        )
        assert len(found) == 3 and all(one.effect != 0 for row in found.values() for one in row)
        wrong += beyond(found)
    # At most one in four; of sixty, 25 or more come once in a thousand.
    assert 1 <= wrong < 25


def null_effects(rng: np.random.Generator, features: int = 3, draws: int = 6) -> Floats:
    """Of random directions whose features differ in norm and whose suites differ in what moves
    them; suites go together."""
    norms_F, scales_S = rng.lognormal(0, 1, features), rng.lognormal(0, 1, 11)
    draw_FDS = rng.standard_t(4, (features, draws + 1, 11)) + rng.normal(
        0, 1, (features, draws + 1, 1)
    )
    return norms_F[:, None, None] * draw_FDS * scales_S


def test_the_family_wise_error_is_one_in_draws_and_one() -> None:
    rng = np.random.default_rng(0)
    runs, family, each = 1_500, 0, 0
    for _ in range(runs):
        effects_FDS = null_effects(rng)
        size_FS = np.abs(effects_FDS[:, 0])
        family += bool((size_FS > family_controls(effects_FDS)).any())
        each += bool((size_FS > np.abs(effects_FDS[:, 1:]).max((0, 1))).any())
    expected, error = 1 / 7, 4 * np.sqrt(6 / 49 / runs)
    assert family / runs == pytest.approx(expected, abs=error)
    assert each / runs > 2 * expected  # a control for each suite alone is not enough


def test_an_effect_that_stands_out_is_found_whatever_its_suites_and_features_scale() -> None:
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(100):
        effects_FDS = null_effects(rng)
        effects_FDS[2, 0, 4] = 30 * np.median(np.abs(effects_FDS[2, 1:, 4]))
        beyond_FS = np.abs(effects_FDS[:, 0]) > family_controls(effects_FDS)
        found += bool(beyond_FS[2, 4])
    assert found > 90


def test_a_suite_that_nothing_moves_has_no_say() -> None:
    effects_FDS = np.zeros((2, 4, 3))
    assert not family_controls(effects_FDS).any()
    effects_FDS[:, :, 1] = [[5.0, 1.0, -1.5, 1.0], [0.5, 1.0, 0.8, -2.0]]
    controls_FS = family_controls(effects_FDS)
    assert controls_FS[:, [0, 2]].tolist() == [[0, 0], [0, 0]]
    assert 1.5 <= controls_FS[0, 1] < 5.0 and controls_FS[1, 1] >= 2.0


def test_equal_models_and_a_silent_feature_have_no_reach() -> None:
    nothing = TRUE._replace(decoder_KD=torch.zeros_like(TRUE.decoder_KD))
    found = measure_reach(MODELS.base, [suite()], nothing, [0], DIFFERENCE_ND, NEUTRAL_ROWS, PLAN)
    assert [one.effect for one in found[0]] == [0.0] and not beyond(found)
