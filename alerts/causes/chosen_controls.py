"""Random directions that were chosen as the features were: the control of what the best remove.

Features are chosen from a pool by what they do on one half of a suite. Random directions that
nothing has chosen are no match for them: of six that do nothing in particular, the best five look
like something. So each draw gives every feature of the pool a random direction of its own and makes
the very choice among these that is made among the features: by the same gradients on the same half,
at the same cost on neutral text. Were the features such directions, they would be one more draw,
and exceed the largest of n in at most 1 of n + 1 cases.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from alerts.causes.random_directions import difference_directions, with_directions
from alerts.causes.steering_bench import SteeringBench, ablate
from dfc.engines.engine import FeatureBank

Choose = Callable[[FeatureBank, Sequence[int]], list[int]]
"""At most five of a bank's rows."""


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
    choose: Choose,
    bank: FeatureBank,
    pool: Sequence[int],
    count: int,
    seed: int,
    difference_ND: Tensor,
) -> list[Drawn]:
    """``count`` draws, each of one direction per row of ``pool`` and what ``choose`` chooses."""
    drawn_ND = difference_directions(difference_ND, count * len(pool), seed)
    draws = []
    for direction_RD in drawn_ND.view(count, len(pool), -1):
        rows = choose(with_directions(bank, pool, direction_RD), pool)
        draws.append(Drawn(rows, direction_RD[[pool.index(row) for row in rows]]))
    return draws


def most_removed(report: SteeringBench, bank: FeatureBank, draws: Sequence[Drawn]) -> float:
    """The most that any draw removes, at least 0: what brings no item nearer removes nothing."""
    removed = [
        report.removed(with_directions(bank, one.rows, one.direction_RD), ablate(one.rows))
        for one in draws
        if one.rows
    ]
    return max([0.0, *removed])
