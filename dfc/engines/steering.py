"""Edits of features as tensor arithmetic on residual states, and the proof that they arrived.

x' = x + sum over edits of (gain * f + offset * unit) * decoder, with the feature's activation
f = p * (p > threshold), p = relu(x . encoder + bias). Ablation (gain -1) takes away the feature's
own contribution where it fires; nothing is projected out. All of it is computed in float32 and
rounded once, so that a position without an effective edit keeps its state bit for bit.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.engines.engine import Edit, FeatureBank
from dfc.errors import SteeringError


class EditPlan(NamedTuple):
    """Edits as float32 tensors. With a leading row dimension (R = B), or without one (R absent)
    when every row has the same edits."""

    encoder_RED: Tensor
    bias_RE: Tensor
    threshold_RE: Tensor
    decoder_RED: Tensor
    gain_RE: Tensor
    constant_RE: Tensor
    """Offset times natural maximum, in activation units."""

    def of_rows(self, rows: Tensor) -> "EditPlan":
        """The plan of some rows of the batch."""
        return self if self.gain_RE.dim() == 1 else EditPlan(*(part[rows] for part in self))


def plan_edits(
    bank: FeatureBank, edits: Sequence[Sequence[Edit]], device: torch.device
) -> EditPlan | None:
    """The plan for a batch whose rows have these edits, or None when no row has any.

    Raises SteeringError for a feature that the bank does not hold.
    """
    n_features = len(bank.decoder_KD)
    for row in edits:
        for edit in row:
            if not 0 <= edit.feature < n_features:
                raise SteeringError(
                    f"edit names feature {edit.feature}, the bank holds 0..{n_features - 1}"
                )
    width = max((len(row) for row in edits), default=0)
    if width == 0:
        return None
    distinct = list(dict.fromkeys(tuple(row) for row in edits))
    shared = len(distinct) == 1
    # A row with fewer edits is filled with edits of no gain and no offset, which add exactly zero.
    filled = [[*row, *[Edit(0)] * (width - len(row))] for row in (distinct if shared else edits)]
    feature = torch.tensor([[e.feature for e in row] for row in filled])
    gain = torch.tensor([[e.gain for e in row] for row in filled], dtype=torch.float32)
    offset = torch.tensor([[e.offset for e in row] for row in filled], dtype=torch.float32)
    parts = [p.detach().float().cpu()[feature] for p in bank[1:5]]
    parts += [gain, offset * bank.unit_K.detach().float().cpu()[feature]]
    return EditPlan(*((p[0] if shared else p).to(device) for p in parts))


def edit_delta(x_BTD: Tensor, plan: EditPlan, editable_BT: Tensor) -> Tensor:
    """What the edits add to the states, float32 [B, T, D]; exactly zero where not editable."""
    row = (lambda part: part) if plan.gain_RE.dim() == 1 else (lambda part: part[:, None])
    p_BTE = torch.relu(x_BTD.float() @ plan.encoder_RED.mT + row(plan.bias_RE))
    f_BTE = p_BTE * (p_BTE > row(plan.threshold_RE))
    amount_BTE = row(plan.gain_RE) * f_BTE + row(plan.constant_RE)
    return (amount_BTE * editable_BT[..., None]) @ plan.decoder_RED


def add_delta(x_BTD: Tensor, delta_BTD: Tensor) -> Tensor:
    """Edited states in the dtype of ``x_BTD``."""
    return (x_BTD.float() + delta_BTD).to(x_BTD.dtype)


def count_steered(edits: Sequence[Sequence[Edit]], editable_B: Sequence[int]) -> int:
    """Editable positions, summed over the rows with edits.

    Raises SteeringError when a row with edits has none: such an edit would silently do nothing.
    """
    steered = [n for row, n in zip(edits, editable_B, strict=True) if row]
    if not all(steered):
        raise SteeringError(
            "an edit touches no position: its row has only the first position, which is never "
            "edited; use a longer prompt"
        )
    return sum(steered)


def check_read_back(before_BTD: Tensor, seen_BTD: Tensor, delta_BTD: Tensor) -> None:
    """Compare what the block above the edit received with the state below plus the edit.

    Tolerance: two units in the last place of the model's dtype, relative to state and edit.
    Raises SteeringError, since an edit that did not arrive looks like a feature without effect.
    """
    before, seen, delta = before_BTD.double(), seen_BTD.double(), delta_BTD.double()
    room = 2 * torch.finfo(seen_BTD.dtype).eps * (before.abs() + delta.abs())
    excess = ((seen - before - delta).abs() - room).max().item()
    if not excess <= 0:
        raise SteeringError(
            f"the edit did not arrive in the model (off by {excess:.3g} beyond rounding); "
            "another hook on this model may overwrite it"
        )
