"""Random directions that were chosen as the features were: the control of what the best remove.

Features are chosen from a pool by what they do on one half of a suite. Random directions that
nothing has chosen are no match for them: of six that do nothing in particular, the best five look
like something. So each draw gives every feature of the pool a random direction of its own and makes
the same greedy choice among these, by the same gradients on the same half. The largest of n draws
is exceeded by one more draw of the same kind in 1 of n + 1 cases.

What the draws cost on neutral text is not limited as it is for the features: that makes the control
larger rather than smaller.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from alerts.causes.choice import choose
from alerts.causes.item_gradients import removed_by
from alerts.causes.random_directions import difference_directions, in_place
from alerts.causes.steering_bench import SteeringBench, ablate
from dfc.engines.engine import FeatureBank


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
    difference_ND: Tensor,
) -> list[Drawn]:
    """``count`` draws, each of one direction per row of ``pool`` and the choice among them."""
    pull_RID = selection.gradients.pull(bank, pool)
    norm_R1 = bank.decoder_KD[pool].norm(dim=1, keepdim=True)
    drawn_ND = difference_directions(difference_ND, count * len(pool), seed)
    draws = []
    for direction_RD in drawn_ND.split(len(pool)):
        removed_RI = removed_by(pull_RID, direction_RD * norm_R1)
        chosen = choose(removed_RI, selection.shift_I, bearable=lambda _: True)
        draws.append(Drawn([pool[row] for row in chosen], direction_RD[chosen]))
    return draws


def most_removed(report: SteeringBench, bank: FeatureBank, draws: Sequence[Drawn]) -> float:
    """The most that any draw removes, at least 0: what adds to a shift removes none of it."""
    removed = [
        report.removed(in_place(bank, one.rows, one.direction_RD), ablate(one.rows))
        for one in draws
        if one.rows
    ]
    return max([0.0, *removed])
