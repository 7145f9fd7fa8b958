"""One behaviour ready to be steered: states captured once, edits tried again and again."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from alerts.deciding.statistics import Floats, ratio_interval
from alerts.probes.probe import item_scores, suite_rows
from alerts.probes.suite import Suite
from dfc.engines.engine import Edit, Engine, FeatureBank, Replay, ScoreRow
from dfc.screening.base_view import BaseView


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


class Pair(NamedTuple):
    """The two models of a diff."""

    base: Engine
    candidate: Engine
    view: BaseView | None = None
    """How the candidate's features stand in a base of another architecture; None where both models
    have one residual space."""

    def in_base(self, bank: FeatureBank) -> FeatureBank | None:
        """The candidate's ``bank`` for the base; None where that is not known."""
        return bank if self.view is None else self.view.bank(bank)

    def base_layer(self, layer: int) -> int:
        """The base's layer beside the candidate's ``layer``."""
        return layer if self.view is None else self.view.layer


class SteeringBench:
    """One suite at one layer of both models; every figure is a part of the shift on this suite."""

    def __init__(self, models: Pair, suite: Suite, layer: int) -> None:
        self._models, self._suite = models, suite
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

    def ceiling(self) -> float | None:
        """What the base's whole state in the candidate removes: no feature can remove more. None
        between architectures, whose states can't be exchanged."""
        if self._models.view is not None:
            return None
        patched_I = self._scores(self._models.candidate, self._base)
        return (mean(self._candidate_I) - mean(patched_I)) / self.shift

    def removed(self, bank: FeatureBank, edits: Sequence[Edit]) -> float:
        """What an edit of the candidate removes."""
        return self.part(self.removed_of_items(bank, edits))

    def removed_of_items(self, bank: FeatureBank, edits: Sequence[Edit]) -> Floats:
        """What an edit of the candidate takes off each item's score [items], in nats per token."""
        edited_I = self._scores(self._models.candidate, self._candidate, bank, edits)
        return self._candidate_I - edited_I

    def left_over(self, bank: FeatureBank, edits: Sequence[Edit]) -> float:
        """How far an edit of the candidate leaves the items' scores from the base's: the mean
        square, in nats per token squared."""
        return mean((self.shift_I - self.removed_of_items(bank, edits)) ** 2)

    def part(self, removed_I: Floats) -> float:
        """What was taken off the items, as a part of the shift."""
        return mean(removed_I) / self.shift

    def interval(self, removed_I: Floats) -> tuple[float, float] | None:
        """95 % interval of `part` over templates; None with fewer than two of them, or where the
        shift is too near 0."""
        return ratio_interval(removed_I, self.shift_I, self._suite.templates)

    def induced(self, bank: FeatureBank, edits: Sequence[Edit]) -> float | None:
        """What an edit of the base brings about; None where the base has no such features."""
        in_base = self._models.in_base(bank)
        if in_base is None:
            return None
        edited_I = self._scores(self._models.base, self._base, in_base, edits)
        return (mean(edited_I) - mean(self._base_I)) / self.shift

    def taken_from_base(self, bank: FeatureBank, edits: Sequence[Edit]) -> float | None:
        """What the same edit takes off the base's score: that much is not about the update."""
        induced = self.induced(bank, edits)
        return None if induced is None else -induced

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


def ablate(rows: Sequence[int]) -> list[Edit]:
    """Take each feature's own contribution away where it fires; no direction is projected out."""
    return [Edit(row, gain=-1.0) for row in rows]
