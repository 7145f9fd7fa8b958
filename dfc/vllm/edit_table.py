"""Edits of a flat batch in which every row has its own, without a branch per row.

All features of a call lie in one bank; a row says by gains and constants what happens to each of
them, and a line of the batch says by number which row it belongs to. Row 0 has neither gains nor
constants, so that lines that are not edited get exactly zero. The formula is that of
``dfc.engines.steering``.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dfc.engines.engine import Edit, FeatureBank
from dfc.errors import SteeringError
from dfc.vllm.batch import Bank
from dfc.vllm.plans import Segment
from dfc.vllm.wire import to_bytes

PARTS = ("encoder_KD", "bias_K", "threshold_K", "decoder_KD")


class PackedBank:
    """The features that a call edits, and its edits in their numbers.

    Raises SteeringError for a feature that the bank does not hold.
    """

    def __init__(self, bank: FeatureBank, edits: Sequence[Sequence[Edit]]) -> None:
        n_features = len(bank.decoder_KD)
        used = sorted({edit.feature for row in edits for edit in row})
        for feature in used:
            if not 0 <= feature < n_features:
                raise SteeringError(
                    f"edit names feature {feature}, the bank holds 0..{n_features - 1}"
                )
        self.packed = Bank(
            bank.layer, tuple(to_bytes(getattr(bank, part)[used].float()) for part in PARTS)
        )
        self._unit_K = bank.unit_K.detach().float().cpu().tolist()
        self._number = {feature: number for number, feature in enumerate(used)}

    def edits(self, row: Sequence[Edit]) -> tuple[tuple[int, float, float], ...]:
        """The edits of one row as a plan holds them."""
        return tuple(
            (self._number[e.feature], e.gain, e.offset * self._unit_K[e.feature]) for e in row
        )


class EditTable:
    """The edits of the step that is about to run, on the device of the model."""

    def __init__(self, d_model: int, device: torch.device) -> None:
        self._device = device
        self.layer: int | None = None
        self._bank = [torch.zeros(0, d_model), *([torch.zeros(0)] * 2), torch.zeros(0, d_model)]
        self._gain_RK = self._constant_RK = torch.zeros(1, 0)
        self._row_T = torch.zeros(0, dtype=torch.int64)

    def load(self, layer: int, parts: Sequence[Tensor]) -> None:
        """Exchange the bank: encoder, bias, threshold and decoder of its features at ``layer``."""
        self.layer = layer
        self._bank = [part.to(self._device) for part in parts]

    def fill(self, n_lines: int, segments: Sequence[Segment]) -> None:
        """Take over the edits of these segments of a batch of ``n_lines`` lines."""
        n_features = len(self._bank[1])
        gain_RK = np.zeros((len(segments) + 1, n_features), np.float32)
        constant_RK = np.zeros_like(gain_RK)
        row_T = np.zeros(n_lines, np.int64)
        for row, segment in enumerate(segments, start=1):
            assert segment.plan is not None
            for number, gain, constant in segment.plan.edits:
                if not 0 <= number < n_features:
                    raise SteeringError(
                        f"row {segment.plan.row} edits feature {number} of a loaded bank of "
                        f"{n_features}; load the bank of this call before its rows run"
                    )
                gain_RK[row, number] += gain
                constant_RK[row, number] += constant
            lines = segment.editable()
            row_T[lines.start : lines.stop] = row
        self._gain_RK, self._constant_RK, self._row_T = (
            torch.from_numpy(part).to(self._device) for part in (gain_RK, constant_RK, row_T)
        )

    def delta(self, x_TD: Tensor) -> Tensor:
        """What the edits add to the first lines of the states, float32 [lines, D].

        A step may be padded: lines beyond those of the segments get zero.
        """
        encoder_KD, bias_K, threshold_K, decoder_KD = self._bank
        row_T = torch.nn.functional.pad(self._row_T, (0, len(x_TD) - len(self._row_T)))
        p_TK = torch.relu(x_TD.float() @ encoder_KD.mT + bias_K)
        f_TK = p_TK * (p_TK > threshold_K)
        return (self._gain_RK[row_T] * f_TK + self._constant_RK[row_T]) @ decoder_KD
