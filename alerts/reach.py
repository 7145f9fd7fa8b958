"""What the new features could do: behaviours that they move when turned up, shifted or not.

A behaviour that has not shifted on its probes may still hang on a new feature, because nothing in
the probes turns the feature on. So each of the best features is turned up, where it fires, on a few
items of every suite at once, beside random directions of the difference with the same firing and
the same norm.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alerts.halves import thinned
from alerts.probe import item_scores, suite_rows
from alerts.random_directions import ControlStates, control_banks
from alerts.statistics import Floats
from alerts.steering_bench import NeutralText
from alerts.suite import Suite
from alerts.verdict import Reach
from dfc.engine import Edit, Engine, FeatureBank, ScoreRow


@dataclass(frozen=True)
class ReachPlan:
    """How much is tried."""

    features: int = 3
    """The best so many are turned up."""
    items: int = 4
    """Of every suite."""
    gains: tuple[float, ...] = (2.0, 1.0, 0.5)
    """Multiples of a feature's own contribution; the largest that neutral text bears is taken."""
    controls: int = 6
    """Random directions per feature."""
    maximum_nll_rise: float = 0.05
    seed: int = 3


class _AllSuites:
    """A few items of every suite in one model, scored together."""

    def __init__(self, engine: Engine, layer: int, suites: Sequence[Suite], most: int) -> None:
        self._engine, self._suites = engine, [thinned(suite, most) for suite in suites]
        rows: list[ScoreRow] = []
        self._ends = []
        for suite in self._suites:
            rows += suite_rows(engine, suite)
            self._ends.append(len(rows))
        self._replay = engine.capture(rows, layer)
        self._unedited_S = self._means(None, ())

    def effects(self, bank: FeatureBank, edits: Sequence[Edit]) -> Floats:
        """Change of every suite's mean score [suites], nats per token; NaN where unscored."""
        return self._means(bank, edits) - self._unedited_S

    def _means(self, bank: FeatureBank | None, edits: Sequence[Edit]) -> Floats:
        scores = self._engine.score_from(self._replay, bank=bank, edits=edits)
        starts = [0, *self._ends]
        return np.array(
            [
                np.nanmean(item_scores(suite, scores[start:end]))
                for suite, start, end in zip(self._suites, starts, self._ends, strict=False)
            ]
        )


def measure_reach(
    candidate: Engine,
    suites: Sequence[Suite],
    bank: FeatureBank,
    rows: Sequence[int],
    states: ControlStates,
    neutral: Sequence[ScoreRow],
    plan: ReachPlan,
) -> dict[int, list[Reach]]:
    """What turning up each of the bank's `rows` (best first) does to each suite, by row.

    Of every feature the largest gain counts that neutral text bears; one that it bears at no gain
    is left out. A control is the largest effect, in size, of all random directions on that suite.
    """
    if not rows:
        return {}
    everything = _AllSuites(candidate, bank.layer, suites, plan.items)
    text = NeutralText(candidate, neutral, bank.layer)
    found: list[tuple[int, float, float, Floats]] = []
    controls: list[Floats] = []
    for row in rows[: plan.features]:
        for gain in plan.gains:
            edits = [Edit(row, gain=gain)]
            cost = text.nll_rise(bank, edits)
            if cost <= plan.maximum_nll_rise:
                found.append((row, gain, cost, everything.effects(bank, edits)))
                controls += [
                    everything.effects(control, edits)
                    for control in control_banks(
                        bank, [row], plan.controls, plan.seed + row, states
                    )
                ]
                break
    if not found:
        return {}
    control_S = np.abs(controls).max(0)
    return {
        row: [
            Reach(
                behaviour=suite.behaviour,
                gain=gain,
                effect=float(effect),
                control=float(control),
                nll_rise=cost,
            )
            for suite, effect, control in zip(suites, effect_S, control_S, strict=True)
            if np.isfinite(effect) and np.isfinite(control)
        ]
        for row, gain, cost, effect_S in found
    }
