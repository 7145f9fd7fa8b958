"""The choice of the features that undo a shift."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pytest

from alerts.causes.mediation import Mediator
from dfc.engines.engine import Edit, FeatureBank

BANK = cast(FeatureBank, None)


Parts = Mapping[int, float | tuple[float, ...]]
"""By row what it takes off each item, or off all of them alike."""


class Additive:
    """A bench, with items that have shifted by one, and a text, on which every row removes a part
    and costs something of its own."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def removed(self, bank: FeatureBank, edits: Sequence[Edit]) -> float:
        return float(self._taken(edits).mean())

    def left_over(self, bank: FeatureBank, edits: Sequence[Edit]) -> float:
        return float(((1.0 - self._taken(edits)) ** 2).mean())

    def _taken(self, edits: Sequence[Edit]) -> np.ndarray:
        return np.sum([np.atleast_1d(self._parts[edit.feature]) for edit in edits], axis=0)

    nll_rise = removed


def choose(parts: Parts, costs: dict[int, float] | None = None) -> list[int]:
    bench: Any = Additive(parts)
    text: Any = Additive(costs or dict.fromkeys(parts, 0.0))
    mediator = Mediator(bench, bench, text, text, cast(Any, None), maximum_nll_rise=0.05)
    return mediator.choose(BANK, list(parts))


@pytest.mark.parametrize(
    ("parts", "chosen"),
    [
        ({0: 0.1, 1: 0.3, 2: 0.2}, [1, 2, 0]),
        ({0: 0.05, 1: 0.1, 2: 0.1, 3: 0.1, 4: 0.1, 5: 0.1}, [1, 2, 3, 4, 5]),
        ({0: 0.6, 1: 0.7, 2: 0.5, 3: -0.2, 4: 0.35}, [1, 4]),
        ({0: 2.5, 1: 0.4, 2: 0.5}, [2, 1]),
        ({0: 1.8, 1: 3.0}, [0]),
        # The first takes off the whole in the mean, but twice as much of one item as there is.
        ({0: (2.0, 0.0), 1: (0.6, 0.6), 2: (0.3, 0.2)}, [1, 2]),
    ],
    ids=[
        "all help",
        "five at most",
        "no more than the whole",
        "not too much",
        "one in any case",
        "item by item",
    ],
)
def test_the_features_chosen_undo_the_shift_and_no_more(parts: Parts, chosen: list[int]) -> None:
    assert choose(parts) == chosen


@pytest.mark.parametrize(("removed", "control"), [(-0.2, 0.0), (0.3, 0.3)])
def test_what_random_directions_add_to_a_shift_makes_no_control_below_zero(
    removed: float, control: float
) -> None:
    class Drawn(Mediator):
        def controls(self, *drawn: Any) -> Iterator[FeatureBank]:
            return iter([BANK] * 3)

    bench: Any = Additive({0: removed})
    mediator = Drawn(bench, bench, bench, bench, cast(Any, None), maximum_nll_rise=0.05)
    assert mediator.control_p95(BANK, [0], 3, 0) == pytest.approx(control)


def test_a_feature_that_costs_too_much_is_not_taken() -> None:
    assert choose({0: 0.9, 1: 0.3}, costs={0: 0.06, 1: 0.01}) == [1]
    assert choose({0: 0.9}, costs={0: 0.06}) == []
