"""What removes a shift: the best five features, all new ones, and as many random directions."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from alerts.causes.random_directions import ControlStates, control_banks
from alerts.causes.steering_bench import NeutralText, SteeringBench
from alerts.deciding.statistics import Floats
from dfc.engines.engine import Edit, FeatureBank

BEST = 5
"""Features in the set whose effect the verdict names."""


class Trial(NamedTuple):
    """One edit: the part of the shift that it removes, and what it costs on neutral text."""

    removed: float
    nll_rise: float
    removed_I: Floats
    """What it takes off each item's score, nats per token."""


class Mediation(NamedTuple):
    """What one seed's features remove of one shift, on the items that chose nothing."""

    rows: list[int]
    """Bank rows of the best five, in the order in which they were chosen."""
    best: Trial
    five: Trial
    everything: Trial
    """All features that are new."""
    control: float | None
    """What five features must remove more than to be the cause: the 95th percentile of what five
    random directions remove, or, if larger, what ablating the five takes off the base itself. None
    where none were chosen, or the base can't be edited alike."""


class Mediator:
    """Ablates features of one bank in the candidate: chooses on one half, reports on the other."""

    def __init__(
        self,
        selection: SteeringBench,
        report: SteeringBench,
        choosing_text: NeutralText,
        reported_text: NeutralText,
        states: ControlStates,
        maximum_nll_rise: float,
    ) -> None:
        self.selection, self.report = selection, report
        self.choosing_text, self.reported_text = choosing_text, reported_text
        self.states, self.maximum_nll_rise = states, maximum_nll_rise

    def mediation(
        self, bank: FeatureBank, pool: Sequence[int], new: Sequence[int], controls: int, seed: int
    ) -> Mediation:
        """Choose the best five of the bank's rows in ``pool``, and measure what they mediate and
        what all ``new`` ones do."""
        chosen = self.choose(bank, pool)
        best = self.trial(bank, chosen[:1])
        taken = self.report.taken_from_base(bank, ablate(chosen)) if chosen else None
        return Mediation(
            rows=chosen,
            best=best,
            five=best if len(chosen) == 1 else self.trial(bank, chosen),
            everything=self.trial(bank, new),
            control=None
            if taken is None
            else max(self.control_p95(bank, chosen, controls, seed), taken),
        )

    def choose(self, bank: FeatureBank, pool: Sequence[int]) -> list[int]:
        """Greedily the five, at most, that together bring the items of the selection half nearest
        to the base's scores, each by itself.

        Were the mean of all items to come nearest, what removes too much of one item and too little
        of another would count as done, and not carry over to other items. A feature that would
        raise the loss on neutral text beyond the limit is not taken; fewer than five come back when
        nothing that is left in the pool brings them nearer.
        """
        chosen: list[int] = []
        left_over = math.inf
        while len(chosen) < BEST:
            found = [
                (self.selection.left_over(bank, ablate([*chosen, row])), row)
                for row in pool
                if row not in chosen
            ]
            nearer = (
                (distance, row)
                for distance, row in sorted(found)
                if distance < left_over and self._bearable(bank, [*chosen, row])
            )
            distance, row = next(nearer, (math.inf, None))
            if row is None:
                break
            chosen.append(row)
            left_over = distance
        return chosen

    def trial(self, bank: FeatureBank, rows: Sequence[int]) -> Trial:
        """Ablate ``rows`` together, on the report half."""
        edits = ablate(rows)
        removed_I = self.report.removed_of_items(bank, edits)
        cost = self.reported_text.nll_rise(bank, edits)
        return Trial(self.report.part(removed_I), cost, removed_I)

    def control_p95(
        self, bank: FeatureBank, rows: Sequence[int], controls: int, seed: int
    ) -> float:
        """95th percentile of what random directions remove in the place of ``rows``, at least
        0: what adds to a shift removes none of it."""
        return _p95(
            self.report.removed(control, ablate(rows))
            for control in self.controls(bank, rows, controls, seed)
        )

    def addition_control_p95(
        self, bank: FeatureBank, addition: Edit, controls: int, seed: int
    ) -> float | None:
        """95th percentile of what random directions induce in the base, at least 0: each is
        added in the place of the edit's feature and as strongly. None where the base can't be
        edited alike."""
        induced = [
            self.report.induced(control, [addition])
            for control in self.controls(bank, [addition.feature], controls, seed)
        ]
        known = [one for one in induced if one is not None]
        return _p95(known) if known else None

    def controls(
        self, bank: FeatureBank, rows: Sequence[int], count: int, seed: int
    ) -> Iterator[FeatureBank]:
        """``count`` banks with random directions in the place of ``rows``."""
        return control_banks(bank, rows, count, seed, self.states)

    def _bearable(self, bank: FeatureBank, rows: Sequence[int]) -> bool:
        return self.choosing_text.nll_rise(bank, ablate(rows)) <= self.maximum_nll_rise


def _p95(effects: Iterable[float]) -> float:
    return max(float(np.percentile(list(effects), 95)), 0.0)


def ablate(rows: Sequence[int]) -> list[Edit]:
    """Take each feature's own contribution away where it fires; no direction is projected out."""
    return [Edit(row, gain=-1.0) for row in rows]
