"""Scores rows by way of the states at one layer, from the tokens or many times from a replay."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.engines.completion_scores import token_log_probabilities
from dfc.engines.decoder_stack import DecoderStack
from dfc.engines.engine import Edit, FeatureBank, Replay, ScoreRow
from dfc.engines.parity import check_replay
from dfc.engines.prompt_tree import TreeBatch, tree_batches
from dfc.engines.steering import add_delta, check_read_back, count_steered, edit_delta, plan_edits
from dfc.errors import ModelError


class Captured(NamedTuple):
    """States of one batch after some block, with what the blocks above need to go on."""

    batch: TreeBatch
    inputs: dict[str, Tensor]
    x_BTD: Tensor

    def to(self, device: torch.device) -> "Captured":
        inputs = {name: part.to(device) for name, part in self.inputs.items()}
        return Captured(self.batch.to(device), inputs, self.x_BTD.to(device))


@dataclass(frozen=True)
class StateReplay(Replay):
    """A replay whose states stay on the device, batched."""

    batches: tuple[Captured, ...]


class Scorer:
    """Scores with one model. The first capture of each kind and the first edit at a layer are
    verified."""

    def __init__(self, stack: DecoderStack) -> None:
        self._stack = stack
        self._replay_proven: set[tuple[int, bool]] = set()
        """Layers, with the masks of trees and without."""
        self._edit_proven: set[int] = set()
        self.n_steered = 0
        """Positions that the edits of the latest score reached."""

    def capture(
        self,
        rows: Sequence[ScoreRow],
        layer: int,
        budget: int,
        groups: Sequence[Hashable] | None = None,
    ) -> Iterator[Captured]:
        """Run the blocks up to ``layer`` over the rows in batches of ``budget`` tokens.

        Only rows of equal group share their prompt.
        """
        stack = self._stack
        for batch in tree_batches(rows, budget, groups=groups, window=stack.window):
            batch = batch.to(stack.model.device)
            inputs = batch.inputs(stack.model.dtype)
            captured = Captured(batch, inputs, stack.lower(batch.tokens_BT, layer, **inputs))
            if (layer, bool(inputs)) not in self._replay_proven:
                x_PD = self._final_reads(captured, layer, captured.x_BTD)
                check_replay(stack, rows, batch, x_PD, layer)
                self._replay_proven.add((layer, bool(inputs)))
            yield captured

    def score(
        self,
        batches: Iterable[Captured],
        layer: int,
        bank: FeatureBank | None,
        edits: Sequence[Sequence[Edit]],
    ) -> list[float]:
        """Mean log-probability per completion token of every row; ``edits`` has one entry per row.

        Raises ModelError when one is not finite.
        """
        self.n_steered = 0
        mean_R = torch.zeros(len(edits), dtype=torch.float64)
        for captured in batches:
            if bank is None:
                x_PD = self._final_reads(captured, layer, captured.x_BTD)
            else:
                tree_edits = [edits[tree[0]] for tree in captured.batch.rows]
                x_PD = self._steered_reads(captured, bank, tree_edits)
            mean_R += self._row_means(captured, x_PD, len(edits))
        if not torch.isfinite(mean_R).all():
            raise ModelError("log-probabilities are not finite; the weights or the edit overflow")
        return mean_R.tolist()

    def gradients(
        self, pairs: Iterable[tuple[Captured, Captured]], layer: int, weight_R: Tensor
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Per batch of two replays the gradient of the rows' log-probability, summed by their
        weights [rows], at the states halfway, second minus first, and the second: all [N, D],
        float32, at the editable positions."""
        for first, second in pairs:
            batch = second.batch
            halfway_BTD = ((first.x_BTD.float() + second.x_BTD.float()) / 2).to(second.x_BTD.dtype)
            with torch.enable_grad():
                halfway_BTD.requires_grad_(True)
                x_PD = self._final_reads(second, layer, halfway_BTD)
                said_P = token_log_probabilities(x_PD, batch.target_P, self._stack.logits)
                total = (said_P * weight_R.to(said_P.device)[batch.row_P]).sum()
                (gradient_BTD,) = torch.autograd.grad(total, halfway_BTD)
            editable_BT = batch.editable()
            second_ND = second.x_BTD[editable_BT].float().cpu()
            difference_ND = second_ND - first.x_BTD[editable_BT].float().cpu()
            yield gradient_BTD[editable_BT].float().cpu(), difference_ND, second_ND

    def _steered_reads(
        self, captured: Captured, bank: FeatureBank, edits: Sequence[Sequence[Edit]]
    ) -> Tensor:
        x_BTD = captured.x_BTD
        plan = plan_edits(bank, edits, x_BTD.device)
        if plan is None:
            return self._final_reads(captured, bank.layer, x_BTD)
        editable_BT = captured.batch.editable()
        self.n_steered += count_steered(edits, editable_BT.sum(1).tolist())
        delta_BTD = edit_delta(x_BTD, plan, editable_BT)
        with self._stack.inputs_above(bank.layer) as seen:
            x_PD = self._final_reads(captured, bank.layer, add_delta(x_BTD, delta_BTD))
        if bank.layer not in self._edit_proven:
            for seen_BTD in seen:
                check_read_back(x_BTD, seen_BTD, delta_BTD)
            self._edit_proven.add(bank.layer)
        return x_PD

    def _final_reads(self, captured: Captured, layer: int, x_BTD: Tensor) -> Tensor:
        """Normed final states [P, D] where completion tokens are predicted."""
        final_BTD = self._stack.upper(x_BTD, layer, **captured.inputs)
        return final_BTD.flatten(0, 1)[captured.batch.read_P]

    def _row_means(self, captured: Captured, x_PD: Tensor, n_rows: int) -> Tensor:
        """Mean log-probability [rows], float64, of the rows of this batch; 0 for all others."""
        batch = captured.batch
        log_probability_P = token_log_probabilities(x_PD, batch.target_P, self._stack.logits)
        zeros_R = torch.zeros(n_rows, dtype=torch.float64, device=x_PD.device)
        sums_R = zeros_R.index_add(0, batch.row_P, log_probability_P.double())
        counts_R = zeros_R.index_add(0, batch.row_P, torch.ones_like(log_probability_P.double()))
        return (sums_R / counts_R.clamp_min(1)).cpu()
