"""The plain way to try an edit on a row: the whole model on that row alone, edited by a hook."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dfc.engines.decoder_stack import DecoderStack
from dfc.engines.engine import Edit, FeatureBank, ScoreRow
from dfc.engines.model_loading import load_model
from dfc.engines.precision import native_dtype
from dfc.engines.steering import add_delta, edit_delta, plan_edits


class OneByOne:
    """The checkpoint at `path` in the number format that is this machine's own."""

    def __init__(self, path: Path) -> None:
        self._stack = DecoderStack(load_model(path, native_dtype("cpu"), "cpu").model)

    @torch.no_grad()
    def score(self, row: ScoreRow, bank: FeatureBank, edits: Sequence[Edit]) -> float:
        """Mean log-probability per token of the completion, in nats."""
        plan = plan_edits(bank, [edits], torch.device("cpu"))
        assert plan is not None, "a row without edits is no combination"

        def edited(block: nn.Module, args: tuple[Any, ...], x_BTD: Tensor) -> Tensor:
            editable_BT = torch.arange(x_BTD.shape[1])[None] > 0
            return add_delta(x_BTD, edit_delta(x_BTD, plan, editable_BT))

        tokens_BT = torch.tensor([[*row.prompt, *row.completion]])
        handle = self._stack.blocks[bank.layer].register_forward_hook(edited)
        try:
            logits_TV = self._stack.model(tokens_BT, use_cache=False).logits[0]
        finally:
            handle.remove()
        said_TV = logits_TV[len(row.prompt) - 1 : -1].float().log_softmax(1)
        return said_TV.gather(1, torch.tensor(row.completion)[:, None]).mean().item()
