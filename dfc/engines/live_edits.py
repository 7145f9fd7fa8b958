"""Edits applied inside a running model, by a hook on one block."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from dfc.engines.decoder_stack import DecoderStack
from dfc.engines.engine import Edit, FeatureBank
from dfc.engines.steering import add_delta, check_read_back, count_steered, edit_delta, plan_edits


class LiveEdits:
    """Steers the rows of one decoding batch after ``bank.layer`` and counts what it steered.

    The first pass is verified: the block above must receive state plus edit.
    """

    def __init__(
        self, stack: DecoderStack, bank: FeatureBank, edits: Sequence[Sequence[Edit]]
    ) -> None:
        self._stack = stack
        self._layer = bank.layer
        self._plan = plan_edits(bank, edits, stack.model.device)
        self._edits = edits
        self._rows = torch.arange(len(edits))
        self._editable_B = torch.zeros(len(edits), dtype=torch.int64)
        self._verified = False

    @property
    def n_steered(self) -> int:
        """Positions steered so far. Raises SteeringError when an edited row has none."""
        return count_steered(self._edits, self._editable_B.tolist())

    def keep(self, rows: Tensor) -> None:
        """From now on the batch consists of these of its rows."""
        self._rows = self._rows[rows.cpu()]
        if self._plan is not None:
            self._plan = self._plan.of_rows(rows)

    @contextmanager
    def at(self, position_BT: Tensor, real_BT: Tensor) -> Iterator[None]:
        """Steer the forward pass made inside, over tokens at these positions."""
        plan = self._plan
        if plan is None:
            yield
            return
        editable_BT = (position_BT > 0) & (real_BT > 0)
        self._editable_B[self._rows] += editable_BT.sum(1).cpu()
        edited: list[tuple[Tensor, Tensor]] = []

        def steer(block: nn.Module, args: tuple[Any, ...], x_BTD: Tensor) -> Tensor:
            delta_BTD = edit_delta(x_BTD, plan, editable_BT)
            edited.append((x_BTD, delta_BTD))
            return add_delta(x_BTD, delta_BTD)

        handle = self._stack.blocks[self._layer].register_forward_hook(steer)
        try:
            with self._stack.inputs_above(self._layer) as seen:
                yield
        finally:
            handle.remove()
        if not self._verified:
            for (x_BTD, delta_BTD), seen_BTD in zip(edited, seen, strict=False):
                check_read_back(x_BTD, seen_BTD, delta_BTD)
            self._verified = True
