"""Random directions are chosen as features are, so that features like them seldom beat them."""

import numpy as np
import pytest
import torch

from alerts.causes.chosen_controls import Drawn, chosen_draws, most_removed
from alerts.causes.mediation import Mediator
from alerts.causes.random_directions import difference_directions, with_directions
from alerts.causes.steering_bench import NeutralText, SteeringBench, ablate
from alerts.probes.halves import halves
from dfc.engines.engine import FeatureBank
from tests.alerts.causes.agreeing import (
    DIFFERENCE_ND,
    MODELS,
    NEUTRAL_ROWS,
    TRUE,
    suite,
)

POOL = list(range(6))
HALVES = halves(suite())
SELECTION, REPORT = (SteeringBench(MODELS, half, TRUE.layer) for half in HALVES)
TEXT = NeutralText(MODELS.candidate, NEUTRAL_ROWS, TRUE.layer)
MEDIATOR = Mediator(SELECTION, REPORT, TEXT, TEXT, DIFFERENCE_ND, maximum_nll_rise=9.0)


def draws(count: int = 19, bank: FeatureBank = TRUE, seed: int = 0) -> list[Drawn]:
    return chosen_draws(MEDIATOR.choose, bank, POOL, count, seed, DIFFERENCE_ND)


def test_what_is_drawn_brings_the_half_that_chooses_nearer_and_is_told_apart() -> None:
    found = draws()
    assert len(found) == 19
    for one in found:
        assert 0 < len(one.rows) == len(one.direction_RD) <= 5
        assert len(set(one.rows)) == len(one.rows)
        assert torch.allclose(one.direction_RD.norm(dim=1), torch.ones(len(one.rows)))
        assert one.first().rows == one.rows[:1]
    sets = {(tuple(one.rows), one.direction_RD.sum().item()) for one in found}
    assert len(sets) == 19
    again, other = draws(), draws(seed=1)
    assert all(
        torch.equal(a.direction_RD, b.direction_RD) for a, b in zip(found, again, strict=True)
    )
    assert not torch.equal(found[0].direction_RD[0], other[0].direction_RD[0])


def test_the_control_is_the_most_that_any_draw_removes_and_never_less_than_nothing() -> None:
    found = draws(4)
    each = [most_removed(REPORT, TRUE, [one]) for one in found]
    assert most_removed(REPORT, TRUE, found) == max(each) > 0
    against = Drawn(found[0].rows, -found[0].direction_RD)
    assert most_removed(REPORT, TRUE, [against, Drawn([], against.direction_RD[:0])]) == 0.0


def test_a_draw_is_held_to_what_neutral_text_bears() -> None:
    # All of these fire everywhere, and neutral text reads some of what random directions write.
    everywhere = TRUE._replace(bias_K=torch.ones(6))
    free = draws(bank=everywhere)
    strict = Mediator(SELECTION, REPORT, TEXT, TEXT, DIFFERENCE_ND, maximum_nll_rise=0.05)
    held = chosen_draws(strict.choose, everywhere, POOL, 19, 0, DIFFERENCE_ND)

    def costs(found: list[Drawn]) -> list[float]:
        return [
            TEXT.nll_rise(with_directions(everywhere, *one), ablate(one.rows))
            for one in found
            if one.rows
        ]

    assert max(costs(free)) > 0.05 >= max(costs(held))


def test_directions_that_are_chosen_remove_more_than_any_that_are_not() -> None:
    chosen = np.mean([most_removed(REPORT, TRUE, [one]) for one in draws()])
    drawn_ND = difference_directions(DIFFERENCE_ND, 19 * 5, seed=0)
    plain = [
        most_removed(REPORT, TRUE, [Drawn(POOL[:5], direction_RD)])
        for direction_RD in drawn_ND.split(5)
    ]
    assert chosen > 2 * np.mean(plain)


def test_features_that_are_random_directions_seldom_beat_their_controls() -> None:
    """One in 20: they are one more draw of the same kind."""
    beaten, trials = 0, 60
    for seed in range(trials):
        decoder_KD = difference_directions(DIFFERENCE_ND, len(POOL), 1000 + seed)
        found = MEDIATOR.mediation(TRUE._replace(decoder_KD=decoder_KD), POOL, [], 19, seed)
        beaten += found.control is not None and found.five.removed > found.control
    assert beaten <= 8  # of 60 at 5 %: more in 0.3 % of cases


@pytest.mark.parametrize("rows", [[0], [0, 3]])
def test_ablating_takes_each_row_away(rows: list[int]) -> None:
    assert [(edit.feature, edit.gain, edit.offset) for edit in ablate(rows)] == [
        (row, -1.0, 0.0) for row in rows
    ]
