"""The cost model reads a suite as often as the causal experiments do."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch

from alerts.causes.causal import SeedFeatures, measure_causes
from alerts.causes.pair import Pair
from alerts.causes.plan import CausalPlan
from dfc.engines.engine import PathGradients, Replay, ScoreRow
from tests.alerts.causes.agreeing import (
    ADDED_D,
    DIFFERENCE_ND,
    NEUTRAL_ROWS,
    READOUT_D,
    bank,
    suite,
)
from tests.alerts.linear_engine import WIDTH, LinearEngine, LinearReplay
from workers.cost.steering import readings


class Counting(LinearEngine):
    """Counts by the number of rows how often something is captured and read from there."""

    def __init__(self, *model: torch.Tensor, counted: Counter[int]) -> None:
        super().__init__(*model)
        self._counted = counted

    def capture(self, rows: Sequence[ScoreRow], layer: int) -> LinearReplay:
        self._counted[len(rows)] -= 1  # what is captured is read once before any edit
        return super().capture(rows, layer)

    def gradients_between(
        self, first: Replay, second: Replay, weights: Any = None
    ) -> PathGradients:
        assert isinstance(second, LinearReplay)
        self._counted[-len(second.rows)] += 1
        return super().gradients_between(first, second, weights)

    def score_from(self, replay: Replay, **edits: Any) -> list[float]:
        assert isinstance(replay, LinearReplay)
        self._counted[len(replay.rows)] += 1
        return super().score_from(replay, **edits)


def test_a_suite_is_read_as_often_as_is_reckoned() -> None:
    counted: Counter[int] = Counter()
    models = Pair(
        Counting(READOUT_D, torch.zeros(WIDTH), counted=counted),
        Counting(READOUT_D, ADDED_D, counted=counted),
    )
    # Each of the six takes a part of the shift away, so that five are chosen.
    features = SeedFeatures(bank(*[0.15 * ADDED_D] * 6), list(range(6)), list(range(6)))
    plan, names = CausalPlan(), {row: str(row) for row in range(6)}
    found = measure_causes(
        models, [suite(12)], [features] * 2, DIFFERENCE_ND, NEUTRAL_ROWS, plan, names
    )
    assert len(found.best["agreeing"]) == 5
    selection, report, text = (counted[n] for n in (2 * 16, 2 * 24, len(NEUTRAL_ROWS) // 2))
    reckoned = readings(seeds=2)
    assert selection == reckoned.selection
    # The gradients of every item are read apart, once for both seeds.
    assert counted[-2] == 16
    # A draw of random directions that chooses none of them is not read.
    assert reckoned.report - 4 <= report <= reckoned.report
    assert reckoned.text - 4 <= text <= reckoned.text
