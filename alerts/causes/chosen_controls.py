"""Random directions that were chosen as the features were: the control of what the best remove.

Features are chosen from a pool by what they do on one half of a suite. Random directions that
nothing has chosen are no match for them: of six that do nothing in particular, the best five look
like something. So each draw gives every feature of the pool a random direction of its own and makes
the same greedy choice among these, on the same half. The largest of n draws is exceeded by one more
draw of the same kind in 1 of n + 1 cases.

To measure every set that the choice looks at would take too long: what the directions remove of
each item is measured one by one and added up. And the draws share the directions that were
measured, each in other company: that makes them somewhat more alike than features and draw are.
Their cost on neutral text is not limited as that of the features is, which makes the control larger
rather than smaller.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from alerts.causes.choice import choose
from alerts.causes.random_directions import ControlStates, control_bank, difference_directions
from alerts.causes.steering_bench import SteeringBench, ablate, mean
from dfc.engines.engine import FeatureBank

MEASURED = 60
"""Random directions that are measured, over all features of the pool."""


class Drawn(NamedTuple):
    """What one draw has chosen."""

    rows: list[int]
    """Rows of the bank in whose place the directions stand; none where no direction helps."""
    direction_RD: Tensor
    """For each of them its direction, a unit vector."""

    def first(self) -> "Drawn":
        """The best of them alone."""
        return Drawn(self.rows[:1], self.direction_RD[:1])


def chosen_draws(
    selection: SteeringBench,
    bank: FeatureBank,
    pool: Sequence[int],
    count: int,
    seed: int,
    states: ControlStates,
) -> list[Drawn]:
    """``count`` draws, each of one direction per row of ``pool`` and the choice among them."""
    if not pool or not count:
        return []
    each = min(count, max(MEASURED // len(pool), 1))
    drawn_ND = difference_directions(states.difference_ND, len(pool) * each, seed)
    direction_PED = drawn_ND.view(len(pool), each, -1)
    removed_PEI = np.array(
        [
            [
                selection.removed_of_items(
                    control_bank(bank, [row], direction_D[None], states), ablate([row])
                )
                for direction_D in direction_ED
            ]
            for row, direction_ED in zip(pool, direction_PED, strict=True)
        ]
    )
    return [
        _choice(selection, pool, dealt_P, direction_PED, removed_PEI)
        for dealt_P in _deals(len(pool), each, count, seed)
    ]


def most_removed(
    report: SteeringBench, bank: FeatureBank, draws: Sequence[Drawn], states: ControlStates
) -> float:
    """The most that any draw removes, at least 0: what adds to a shift removes none of it."""
    removed = [
        report.removed(control_bank(bank, one.rows, one.direction_RD, states), ablate(one.rows))
        for one in draws
        if one.rows
    ]
    return max([0.0, *removed])


def _choice(
    selection: SteeringBench,
    pool: Sequence[int],
    dealt_P: Sequence[int],
    direction_PED: Tensor,
    removed_PEI: np.ndarray,
) -> Drawn:
    def left_over(places: Sequence[int]) -> float:
        removed_I = sum((removed_PEI[p, dealt_P[p]] for p in places), np.zeros(()))
        return mean((selection.shift_I - removed_I) ** 2)

    places = choose(range(len(pool)), left_over, bearable=lambda _: True)
    picked = [direction_PED[p, dealt_P[p]] for p in places]
    return Drawn(
        [pool[p] for p in places],
        torch.stack(picked) if picked else direction_PED[0, :0],
    )


def _deals(rows: int, each: int, count: int, seed: int) -> list[list[int]]:
    """For each draw which of its directions every row gets: all before any comes again."""
    generator = torch.Generator().manual_seed(seed)
    rounds = [
        torch.stack([torch.randperm(each, generator=generator) for _ in range(rows)], dim=1)
        for _ in range(-(-count // each))
    ]
    return torch.cat(rounds)[:count].tolist()
