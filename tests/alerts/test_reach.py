"""Turning up a feature moves a behaviour that has not shifted, and random directions do not."""

import torch

from alerts.reach import ReachPlan, measure_reach
from tests.alerts.test_causal import MODELS, NEUTRAL_ROWS, STATES, TRUE, suite

PLAN = ReachPlan(features=2, maximum_nll_rise=100.0)


def test_the_feature_that_writes_the_read_out_moves_the_behaviour() -> None:
    unrelated = suite().model_copy(update={"behaviour": "unrelated"})
    found = measure_reach(
        MODELS.candidate, [suite(), unrelated], TRUE, [0, 1], STATES, NEUTRAL_ROWS, PLAN
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
        measure_reach(MODELS.candidate, [suite()], TRUE, [0], STATES, NEUTRAL_ROWS, bearable) == {}
    )


def test_equal_models_have_no_reach_beyond_random_directions() -> None:
    nothing = TRUE._replace(decoder_KD=torch.zeros_like(TRUE.decoder_KD))
    found = measure_reach(MODELS.base, [suite()], nothing, [0], STATES, NEUTRAL_ROWS, PLAN)
    assert all(abs(one.effect) <= one.control for row in found.values() for one in row)
