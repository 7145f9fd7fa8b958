"""What removes a shift: the best five features, all of the change, and random directions."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from alerts.causes.choice import choose
from alerts.causes.chosen_controls import Drawn, chosen_draws, most_removed
from alerts.causes.random_directions import control_banks
from alerts.causes.steering_bench import NeutralText, SteeringBench, ablate
from alerts.deciding.statistics import Floats
from dfc.engines.engine import Edit, FeatureBank


class Trial(NamedTuple):
    """One edit: the part of the shift that it removes, and what it costs on neutral text."""

    removed: float
    nll_rise: float
    removed_I: Floats
    """What it takes off each item's score, nats per token."""


class Mediation(NamedTuple):
    """What one seed's features remove of one shift, on the items that chose nothing."""

    rows: list[int]
    """Bank rows of the best five, in the order in which they were chosen; none where no feature of
    the pool brings the items nearer to the base, or none does at a bearable cost."""
    best: Trial
    five: Trial
    everything: Trial
    """All features that make up the change."""
    control: float | None
    """What the best five must remove more than to be the cause: the most that any draw of random
    directions removes (`chosen_controls`), or, if larger, how much ablating the five changes the
    base itself. None where none were chosen, or the base can't be edited alike."""
    draws: list[Drawn]


class Mediator:
    """Ablates features of one bank in the candidate: chooses on one half, reports on the other."""

    def __init__(
        self,
        selection: SteeringBench,
        report: SteeringBench,
        choosing_text: NeutralText,
        reported_text: NeutralText,
        difference_ND: Tensor,
        maximum_nll_rise: float,
    ) -> None:
        self.selection, self.report = selection, report
        self.choosing_text, self.reported_text = choosing_text, reported_text
        self.difference_ND, self.maximum_nll_rise = difference_ND, maximum_nll_rise

    def mediation(
        self,
        bank: FeatureBank,
        pool: Sequence[int],
        change: Sequence[int],
        controls: int,
        seed: int,
    ) -> Mediation:
        """Choose the best five of the bank's rows in ``pool``, and measure what they mediate and
        what all of the ``change`` do, beside ``controls`` draws of random directions."""
        rows = self.choose(bank, pool)
        best = self.trial(bank, rows[:1])
        five = best if len(rows) <= 1 else self.trial(bank, rows)
        control, draws = None, []
        if rows:
            draws = chosen_draws(self.choose, bank, pool, controls, seed, self.difference_ND)
            changed = self.report.changed_in_base(bank, ablate(rows))
            control = None if changed is None else max(self.most_removed(bank, draws), changed)
        return Mediation(
            rows=rows,
            best=best,
            five=five,
            everything=self.trial(bank, change),
            control=control,
            draws=draws,
        )

    def choose(self, bank: FeatureBank, pool: Sequence[int]) -> list[int]:
        """At most five that together bring the items of the selection half near the base's scores,
        to first order, at a bearable cost on neutral text."""

        def bearable(places: Sequence[int]) -> bool:
            edits = ablate([pool[place] for place in places])
            return self.choosing_text.nll_rise(bank, edits) <= self.maximum_nll_rise

        removed_RI = self.selection.gradients.removed(bank, pool)
        return [pool[place] for place in choose(removed_RI, self.selection.shift_I, bearable)]

    def trial(self, bank: FeatureBank, rows: Sequence[int]) -> Trial:
        """Ablate ``rows`` together, on the report half."""
        edits = ablate(rows)
        removed_I = self.report.removed_of_items(bank, edits)
        cost = self.reported_text.nll_rise(bank, edits)
        return Trial(self.report.part(removed_I), cost, removed_I)

    def most_removed(self, bank: FeatureBank, draws: Sequence[Drawn]) -> float:
        """The most that any of the draws removes on the report half, at least 0."""
        return most_removed(self.report, bank, draws)

    def most_induced(
        self, bank: FeatureBank, addition: Edit, controls: int, seed: int
    ) -> float | None:
        """The most that any random direction induces in the base, at least 0: each is added in the
        place of the edit's feature and as strongly. None where the base can't be edited alike."""
        induced = [
            self.report.induced(control, [addition])
            for control in self.controls(bank, addition.feature, controls, seed)
        ]
        known = [one for one in induced if one is not None]
        return max([0.0, *known]) if known else None

    def controls(self, bank: FeatureBank, row: int, count: int, seed: int) -> Iterator[FeatureBank]:
        """``count`` banks with random directions in the place of ``row``."""
        return control_banks(bank, row, count, seed, self.difference_ND)
