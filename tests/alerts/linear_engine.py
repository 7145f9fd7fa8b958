"""An engine in memory whose states and read-out are linear, so that every causal figure is known.

A prompt is a number; its base state is a fixed random vector that avoids the last four dimensions.
The candidate adds ``strength * direction`` on prompts that are not neutral. The log-probability of
a completion is plus or minus the read-out of the state: the shift is what the direction reads out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dfc.engines.engine import Edit, FeatureBank, PathGradients, Replay, ScoreRow

WIDTH = 24
AGREE, DISAGREE, NEUTRAL = (1,), (2,), (3,)


@dataclass(frozen=True)
class LinearReplay(Replay):
    x_RD: Tensor


class LinearEngine:
    """The part of ``dfc.engines.engine.Engine`` that steering needs."""

    def __init__(self, readout_D: Tensor, added_D: Tensor) -> None:
        self.readout_D, self.added_D = readout_D, added_D

    def encode_chat(self, messages: Sequence, *, add_generation_prompt: bool) -> tuple[int, ...]:
        return (int(messages[-1]["content"]),)

    def encode_text(self, text: str) -> tuple[int, ...]:
        return AGREE if text.startswith("agree") else DISAGREE

    def capture(self, rows: Sequence[ScoreRow], layer: int) -> LinearReplay:
        return LinearReplay(layer, tuple(rows), torch.stack([self._state(row) for row in rows]))

    def score_from(
        self, replay: Replay, *, bank: FeatureBank | None = None, edits: Sequence[Edit] = ()
    ) -> list[float]:
        assert isinstance(replay, LinearReplay)
        x_RD = replay.x_RD.clone()
        if bank is not None:
            p_RK = torch.relu(replay.x_RD @ bank.encoder_KD.T + bank.bias_K)
            f_RK = p_RK * (p_RK > bank.threshold_K)
            for edit in edits:
                k = edit.feature
                amount_R = edit.gain * f_RK[:, k] + edit.offset * bank.unit_K[k]
                x_RD += amount_R[:, None] * bank.decoder_KD[k]
        return (_signs(replay) * (x_RD @ self.readout_D)).tolist()

    def gradients_between(
        self, first: Replay, second: Replay, weights: Sequence[float] | None = None
    ) -> PathGradients:
        """Each row is read at one position, and its gradient is the read-out wherever it is."""
        assert isinstance(first, LinearReplay) and isinstance(second, LinearReplay)
        weight_R = torch.ones(len(second.rows)) if weights is None else torch.tensor(weights)
        gradient_RD = (weight_R * _signs(second))[:, None] * self.readout_D
        return PathGradients(gradient_RD, second.x_RD - first.x_RD, second.x_RD)

    def _state(self, row: ScoreRow) -> Tensor:
        generator = torch.Generator().manual_seed(row.prompt[0])
        x_D = torch.randn(WIDTH, generator=generator)
        x_D[-4:] = 0
        if row.completion != NEUTRAL:
            strength = 1 + torch.rand((), generator=generator)
            x_D = x_D + strength * self.added_D
        return x_D


def _signs(replay: Replay) -> Tensor:
    sign = {AGREE: 1.0, DISAGREE: -1.0, NEUTRAL: 1.0}
    return torch.tensor([sign[row.completion] for row in replay.rows])
