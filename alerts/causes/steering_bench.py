"""One behaviour ready to be steered: states captured once, edits tried again and again."""

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from alerts.causes.item_gradients import ItemGradients
from alerts.causes.pair import Pair
from alerts.deciding.distance_interval import distance_interval
from alerts.deciding.statistics import Floats
from alerts.probes.probe import item_scores, suite_rows
from alerts.probes.suite import Suite
from dfc.engines.engine import Edit, Engine, FeatureBank, Replay, ScoreRow


class NeutralText:
    """Ordinary answers on which an edit must not raise the loss."""

    def __init__(self, engine: Engine, rows: Sequence[ScoreRow], layer: int) -> None:
        self._engine, self._replay = engine, engine.capture(rows, layer)
        self._tokens = np.array([len(row.completion) for row in rows], dtype=np.float64)
        self._loss = self._nll(None, ())

    def nll_rise(self, bank: FeatureBank, edits: Sequence[Edit]) -> float:
        """Rise of the mean loss per token, in nats."""
        return self._nll(bank, edits) - self._loss

    def _nll(self, bank: FeatureBank | None, edits: Sequence[Edit]) -> float:
        scores = np.array(self._engine.score_from(self._replay, bank=bank, edits=edits))
        return float(-(scores * self._tokens).sum() / self._tokens.sum())


class SteeringBench:
    """One suite at one layer of both models. What is a part is one of the shift on this suite."""

    def __init__(self, models: Pair, suite: Suite, layer: int) -> None:
        self._models, self._suite, self._layer = models, suite, layer
        # Each model reads the suite in its own template and tokens.
        self._base = models.base.capture(suite_rows(models.base, suite), models.base_layer(layer))
        self._candidate = models.candidate.capture(suite_rows(models.candidate, suite), layer)
        self._base_I = self._scores(models.base, self._base)
        self._candidate_I = self._scores(models.candidate, self._candidate)
        self.items = suite.items
        self.shift_I = self._candidate_I - self._base_I
        """Of each item, nats per token; not a number where a model left it unscored."""
        self.n_items = int(np.isfinite(self.shift_I).sum())
        self.shift = mean(self._candidate_I) - mean(self._base_I)

    @cached_property
    def gradients(self) -> ItemGradients:
        """What edits of the candidate would do to each item, to first order; read once."""
        return ItemGradients(self._models, self._suite, self._layer)

    def ceiling(self) -> float | None:
        """What the base's whole state in the candidate removes: features can hardly remove more.
        None between architectures, whose states can't be exchanged."""
        if self._models.view is not None:
            return None
        return self.part(self._candidate_I - self._scores(self._models.candidate, self._base))

    def removed(self, bank: FeatureBank, edits: Sequence[Edit]) -> float:
        """What an edit of the candidate removes."""
        return self.part(self.removed_of_items(bank, edits))

    def removed_of_items(self, bank: FeatureBank, edits: Sequence[Edit]) -> Floats:
        """What an edit of the candidate takes off each item's score [items], in nats per token."""
        edited_I = self._scores(self._models.candidate, self._candidate, bank, edits)
        return self._candidate_I - edited_I

    def part(self, removed_I: Floats) -> float:
        """How much of the shift is undone by taking so much off each item ``[items]``, or by each
        of several seeds' edits ``[seeds, items]``: the part of the distance from the base's scores,
        root mean square, that it takes away.

        Half of every item's shift is half of the distance. Too much of one item doesn't make up for
        too little of another, taking away twice every shift is taking away nothing, and what moves
        items apart is negative.
        """
        return 1 - _root_mean_square(self.shift_I - removed_I) / _root_mean_square(self.shift_I)

    def interval(self, removed_I: Floats) -> tuple[float, float] | None:
        """95 % interval of `part` over templates (`distance_interval`)."""
        left_I = np.mean(np.atleast_2d((self.shift_I - removed_I) ** 2), axis=0)
        return distance_interval(left_I, self.shift_I**2, self._suite.templates)

    def induced(self, bank: FeatureBank, edits: Sequence[Edit]) -> float | None:
        """What an edit of the base brings about of the shift; None where it has no features."""
        in_base = self._models.in_base(bank)
        if in_base is None:
            return None
        return self.part(self._scores(self._models.base, self._base, in_base, edits) - self._base_I)

    def changed_in_base(self, bank: FeatureBank, edits: Sequence[Edit]) -> float | None:
        """How much the same edit changes the base's scores, in either direction, beside the shift:
        that much is not about the update."""
        in_base = self._models.in_base(bank)
        if in_base is None:
            return None
        edited_I = self._scores(self._models.base, self._base, in_base, edits)
        return _root_mean_square(self._base_I - edited_I) / _root_mean_square(self.shift_I)

    def effect(self, bank: FeatureBank, edits: Sequence[Edit]) -> float:
        """Change of the candidate's mean score under an edit, in nats per token."""
        return -mean(self.removed_of_items(bank, edits))

    def _scores(
        self,
        engine: Engine,
        replay: Replay,
        bank: FeatureBank | None = None,
        edits: Sequence[Edit] = (),
    ) -> Floats:
        return item_scores(self._suite, engine.score_from(replay, bank=bank, edits=edits))


def mean(score_I: Floats) -> float:
    """Over the items that have a score."""
    return float(np.nanmean(score_I))


def _root_mean_square(left_I: Floats) -> float:
    return math.sqrt(mean(left_I**2))


def ablate(rows: Sequence[int]) -> list[Edit]:
    """Take each feature's own contribution away where it fires; no direction is projected out."""
    return [Edit(row, gain=-1.0) for row in rows]
