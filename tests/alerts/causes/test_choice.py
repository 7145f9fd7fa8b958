"""The choice of the edits that undo a shift."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from alerts.causes.choice import choose

Parts = Mapping[int, float | tuple[float, float]]
"""By row what it takes off each item, or off all of them alike; every item has shifted by one."""


def chosen(parts: Parts, costs: Mapping[int, float] | None = None) -> list[int]:
    def bearable(rows: Sequence[int]) -> bool:
        return costs is None or sum(costs[row] for row in rows) <= 0.05

    removed_RI = np.array([np.broadcast_to(parts[row], 2) for row in range(len(parts))])
    return choose(removed_RI, np.ones(2), bearable)


@pytest.mark.parametrize(
    ("parts", "rows"),
    [
        ({0: 0.1, 1: 0.3, 2: 0.2}, [1, 2, 0]),
        ({0: 0.05, 1: 0.1, 2: 0.1, 3: 0.1, 4: 0.1, 5: 0.1}, [1, 2, 3, 4, 5]),
        ({0: 0.6, 1: 0.7, 2: 0.5, 3: -0.2, 4: 0.35}, [1, 4]),
        ({0: 2.5, 1: 0.4, 2: 0.5}, [2, 1]),
        ({0: 1.8, 1: 3.0}, [0]),
        # The first takes off the whole in the mean, but twice as much of one item as there is.
        ({0: (2.0, 0.0), 1: (0.6, 0.6), 2: (0.3, 0.2)}, [1, 2]),
        ({0: 2.5, 1: -0.1}, []),
        ({0: 0.9, 1: 0.0004}, [0]),
        ({}, []),
    ],
    ids=[
        "all help",
        "five at most",
        "no more than the whole",
        "not too much",
        "too much but nearer",
        "item by item",
        "none in any case",
        "none for next to nothing",
        "none to choose from",
    ],
)
def test_the_edits_chosen_undo_the_shift_and_no_more(parts: Parts, rows: list[int]) -> None:
    assert chosen(parts) == rows


def test_an_edit_that_costs_too_much_is_not_taken() -> None:
    assert chosen({0: 0.9, 1: 0.3}, {0: 0.06, 1: 0.01}) == [1]
    assert chosen({0: 0.6, 1: 0.3}, {0: 0.05, 1: 0.01}) == [0]
    assert chosen({0: 0.9}, {0: 0.06}) == []
