"""States of both models on the same text, side by side, so that a feature may read both.

A crosscoder's code, and that of a dictionary on the difference, depends on the states of both
models, while an engine's edit reads only the state that it edits. So the captured rows are kept
twice, [candidate | base], and the edit is computed from both before the blocks above run. In the
place of the base itself both halves are the base's: there is no update, and a dictionary on the
difference reads zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from dfc.engines.engine import Edit, Engine, FeatureBank, PathGradients, Replay, ScoreRow
from dfc.engines.scoring import Captured, StateReplay
from dfc.engines.steering import add_delta, edit_delta, plan_edits
from dfc.engines.transformers_engine import TransformersEngine


@dataclass(frozen=True)
class PairedReplay(Replay):
    """The same rows in the edited model and in the base."""

    own: StateReplay
    base: StateReplay


class PairedEngine:
    """As much of an engine as steering needs, on states of width 2 d."""

    def __init__(self, own: TransformersEngine, base: TransformersEngine) -> None:
        self._own, self._base = own, base

    def encode_chat(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool
    ) -> tuple[int, ...]:
        return self._own.encode_chat(messages, add_generation_prompt=add_generation_prompt)

    def encode_text(self, text: str) -> tuple[int, ...]:
        return self._own.encode_text(text)

    def capture(self, rows: Sequence[ScoreRow], layer: int) -> PairedReplay:
        own = self._own.capture(rows, layer)
        base = own if self._own is self._base else self._base.capture(rows, layer)
        return PairedReplay(layer, tuple(rows), own, base)

    @torch.no_grad()
    def score_from(
        self, replay: Replay, *, bank: FeatureBank | None = None, edits: Sequence[Edit] = ()
    ) -> list[float]:
        """Scores of the rows with the edit made at every position but the first."""
        assert isinstance(replay, PairedReplay)
        if bank is None or not edits:
            return self._own.score_from(replay.own)
        pairs = zip(replay.own.batches, replay.base.batches, strict=True)
        batches = tuple(_edited(own, base, bank, edits) for own, base in pairs)
        return self._own.score_from(StateReplay(replay.layer, replay.rows, batches))

    def gradients_between(
        self, first: Replay, second: Replay, weights: Sequence[float] | None = None
    ) -> PathGradients:
        """As the edited model's, from the base's states to its own: the base's half of a state
        moves no word."""
        assert isinstance(first, PairedReplay) and isinstance(second, PairedReplay)
        found = self._own.gradients_between(first.own, second.own, weights)
        base_ND = found.second_ND - found.difference_ND
        nothing_ND = torch.zeros_like(base_ND)
        return PathGradients(
            torch.cat([found.gradient_ND, nothing_ND], dim=1),
            torch.cat([found.difference_ND, nothing_ND], dim=1),
            torch.cat([found.second_ND, base_ND], dim=1),
        )


def paired_engine(own: Engine, base: Engine) -> Engine:
    """`own` beside `base`. The experiments ask an engine only for what PairedEngine has."""
    assert isinstance(own, TransformersEngine) and isinstance(base, TransformersEngine)
    return cast(Engine, PairedEngine(own, base))


def candidate_only(direction_KD: Tensor) -> Tensor:
    """Directions [K, d] as [K, 2 d] that write nothing into the base's half."""
    return torch.cat([direction_KD, torch.zeros_like(direction_KD)], dim=1)


def _edited(own: Captured, base: Captured, bank: FeatureBank, edits: Sequence[Edit]) -> Captured:
    plan = plan_edits(bank, [edits], own.x_BTD.device)
    assert plan is not None
    both_BTD = torch.cat([own.x_BTD, base.x_BTD], dim=2)
    delta_BTD = edit_delta(both_BTD, plan, own.batch.editable())[..., : own.x_BTD.shape[2]]
    return own._replace(x_BTD=add_delta(own.x_BTD, delta_BTD))
