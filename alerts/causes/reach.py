"""What the new features could do: behaviours that they move when turned up, shifted or not.

A behaviour that has not shifted on its probes may still hang on a new feature, because nothing in
the probes turns the feature on. So each of the best features is turned up, where it fires, on a few
items of every suite at once, beside random directions of the difference with the same firing and
the same norm.

That is many features times many behaviours, so a feature's effect on a suite counts only beyond the
largest control of all features and suites together (Westfall & Young 1993, single-step max-T). Let
x be an effect, of a feature f, in draw d (0 is the feature itself), on suite s:

    b_s  = median over f, d of |x_fds|            a_f = median over d, s of |x_fds| / b_s
    control_fs = a_f b_s max over f', d > 0, s' of |x_f'ds'| / (a_f' b_s')

Where the features are random directions too, their numbers d mean nothing, and the scales a and b
are the same however they are dealt: so the chance that any feature exceeds its control on any suite
is at most 1 / (draws + 1), for one verdict as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from alerts.causes.random_directions import control_banks
from alerts.causes.steering_bench import NeutralText
from alerts.deciding.statistics import Floats
from alerts.probes.halves import thinned
from alerts.probes.probe import item_scores, suite_rows
from alerts.probes.suite import Suite
from alerts.records.feature import Reach
from dfc.engines.engine import Edit, Engine, FeatureBank, ScoreRow


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
    """Random directions per feature: with six the family-wise error is 1 / 7."""
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
    difference_ND: Tensor,
    neutral: Sequence[ScoreRow],
    plan: ReachPlan,
) -> dict[int, list[Reach]]:
    """What turning up each of the bank's `rows` (best first) does to each suite, by row.

    Of every feature the largest gain counts that neutral text bears; one that it bears at no gain
    is left out. A control is that of `family_controls`; suites without scores are left out. Nothing
    is reached where there is no suite.
    """
    if not rows or not suites:
        return {}
    everything = _AllSuites(candidate, bank.layer, suites, plan.items)
    text = NeutralText(candidate, neutral, bank.layer)
    found: list[tuple[int, float, float]] = []
    effects: list[list[Floats]] = []
    for row in rows[: plan.features]:
        for gain in plan.gains:
            edits = [Edit(row, gain=gain)]
            cost = text.nll_rise(bank, edits)
            if cost <= plan.maximum_nll_rise:
                found.append((row, gain, cost))
                controls = control_banks(bank, row, plan.controls, plan.seed + row, difference_ND)
                effects.append([everything.effects(one, edits) for one in (bank, *controls)])
                break
    if not found:
        return {}
    effects_FDS = np.array(effects)
    scored = np.isfinite(effects_FDS).all((0, 1))
    behaviours = [suite.behaviour for suite, known in zip(suites, scored, strict=True) if known]
    controls_FS = family_controls(effects_FDS[:, :, scored])
    return {
        row: [
            Reach(
                behaviour=behaviour,
                gain=gain,
                effect=float(effect),
                control=float(control),
                nll_rise=cost,
            )
            for behaviour, effect, control in zip(behaviours, effect_S, control_S, strict=True)
        ]
        for (row, gain, cost), effect_S, control_S in zip(
            found, effects_FDS[:, 0, scored], controls_FS, strict=True
        )
    }


def family_controls(effects_FDS: Floats) -> Floats:
    """What the size of an effect [features, suites] has to exceed, in the effects' own unit.

    `effects_FDS` are finite; in each row of draws the first is the feature's and the others are its
    random directions'. Of every feature on every suite the control is at least its own largest
    draw.
    """
    size_FDS = np.abs(effects_FDS)
    draws_FS = size_FDS[:, 1:].max(1)
    suite_S = np.median(size_FDS, axis=(0, 1))
    moved = suite_S > 0
    if not moved.any():
        return draws_FS
    feature_F = np.median(size_FDS[:, :, moved] / suite_S[moved], axis=(1, 2))
    scale_FS = np.outer(feature_F, suite_S)
    largest = np.divide(draws_FS, scale_FS, out=np.zeros_like(draws_FS), where=scale_FS > 0).max()
    return np.maximum(largest * scale_FS, draws_FS)
