"""The order of learning: how soon shared and how soon exclusive concepts are recovered."""

from __future__ import annotations

from statistics import fmean
from typing import NamedTuple

import torch

from deploy.bench.toy.features import recalled, written_rows
from deploy.bench.toy.universe import Universe
from dfc.crosscoder.model import Dfc

LOOKS = 40
"""How often per training."""


class HalfLearned(NamedTuple):
    """Share of training after which half of what is recovered at its end is; None where nothing
    is."""

    shared: float | None
    exclusive: float | None


class Learning:
    """Watches one training."""

    def __init__(self, universe: Universe, steps: int) -> None:
        self._universe, self._steps = universe, steps
        self._curves: tuple[list[float], list[float]] = ([], [])

    @torch.no_grad()
    def watch(self, step: int, model: Dfc) -> None:
        """Note what is recovered after ``step``, forty times in all."""
        if step * LOOKS // self._steps == (step - 1) * LOOKS // self._steps:
            return
        toy, rows = self._universe, written_rows(model)
        shared = recalled(rows.base_BD, toy.base_CD[toy.shared])
        own = [
            recalled(rows.base_BD, toy.base_CD[toy.base_only]),
            recalled(rows.candidate_BD, toy.candidate_CD[toy.candidate_only]),
        ]
        self._curves[0].append(shared or 0.0)
        self._curves[1].append(fmean(part or 0.0 for part in own))

    def half_learned(self) -> HalfLearned:
        return HalfLearned(*(_half(curve) for curve in self._curves))


def _half(curve: list[float]) -> float | None:
    if not curve or curve[-1] == 0:
        return None
    first = next(i for i, recall in enumerate(curve) if recall >= curve[-1] / 2)
    return (first + 1) / len(curve)
