"""Scores rows by way of the states at one layer, once from the tokens or many times from a
replay."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.completion_scores import token_log_probabilities
from dfc.decoder_stack import DecoderStack
from dfc.engine import Edit, FeatureBank, Replay, ScoreRow
from dfc.prompt_tree import TreeBatch, tree_batches
from dfc.steering import add_delta, check_read_back, count_steered, edit_delta, plan_edits


class Captured(NamedTuple):
    """States of one batch after some block, with what the blocks above need to go on."""

    batch: TreeBatch
    inputs: dict[str, Tensor]
    x_BTD: Tensor


@dataclass(frozen=True)
class StateReplay(Replay):
    """A replay whose states stay on the device, batched."""

    batches: tuple[Captured, ...]


def capture_batches(
    stack: DecoderStack,
    rows: Sequence[ScoreRow],
    layer: int,
    budget: int,
    groups: Sequence[Hashable] | None = None,
) -> Iterator[Captured]:
    """Run the blocks up to ``layer`` over the rows, batch by batch."""
    for batch in tree_batches(rows, budget, groups=groups, window=stack.window):
        batch = batch.to(stack.model.device)
        inputs = batch.inputs(stack.model.dtype)
        yield Captured(batch, inputs, stack.lower(batch.tokens_BT, layer, **inputs))


def final_reads(stack: DecoderStack, captured: Captured, layer: int, x_BTD: Tensor) -> Tensor:
    """Normed final states [P, D] where completion tokens are predicted."""
    final_BTD = stack.upper(x_BTD, layer, **captured.inputs)
    return final_BTD.flatten(0, 1)[captured.batch.read_P]


def row_means(stack: DecoderStack, captured: Captured, x_PD: Tensor, n_rows: int) -> Tensor:
    """Mean log-probability [rows], float64, of the rows of this batch; 0 for all other rows."""
    batch = captured.batch
    log_probability_P = token_log_probabilities(x_PD, batch.target_P, stack.logits)
    zeros_R = torch.zeros(n_rows, dtype=torch.float64, device=x_PD.device)
    sums_R = zeros_R.index_add(0, batch.row_P, log_probability_P.double())
    counts_R = zeros_R.index_add(0, batch.row_P, torch.ones_like(log_probability_P.double()))
    return (sums_R / counts_R.clamp_min(1)).cpu()


def steered_reads(
    stack: DecoderStack,
    captured: Captured,
    bank: FeatureBank,
    edits: Sequence[Sequence[Edit]],
    *,
    verify: bool,
) -> tuple[Tensor, int]:
    """``final_reads`` with the edits of every tree applied, and how many positions they could
    touch.

    With ``verify`` the input of the block above is compared with state plus edit.
    """
    x_BTD = captured.x_BTD
    plan = plan_edits(bank, edits, x_BTD.device)
    if plan is None:
        return final_reads(stack, captured, bank.layer, x_BTD), 0
    editable_BT = captured.batch.editable()
    n_steered = count_steered(edits, editable_BT.sum(1).tolist())
    delta_BTD = edit_delta(x_BTD, plan, editable_BT)
    edited_BTD = add_delta(x_BTD, delta_BTD)
    if not verify:
        return final_reads(stack, captured, bank.layer, edited_BTD), n_steered
    with stack.inputs_above(bank.layer) as seen:
        x_PD = final_reads(stack, captured, bank.layer, edited_BTD)
    for seen_BTD in seen:
        check_read_back(x_BTD, seen_BTD, delta_BTD)
    return x_PD, n_steered
