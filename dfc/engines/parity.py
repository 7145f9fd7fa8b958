"""Proof, on the first batch of a layer, that states taken apart equal the whole model's.

A hook that is silently ignored, a mask that an architecture does not honour or a block skipped
would otherwise give plausible numbers about a model that does not exist.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dfc.engines.batching import pad_right
from dfc.engines.decoder_stack import DecoderStack
from dfc.engines.engine import ScoreRow
from dfc.engines.prompt_tree import TreeBatch
from dfc.errors import ParityError

RELATIVE_ERROR = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 2e-2}
"""Largest norm of the difference as a part of the norm. Rounding stays far below; a wrong layer or
a missing mask is of the order of 1."""


PROVEN_ROWS = 8
"""Rows of a batch that are also run through the whole model."""


def check_truncated(stack: DecoderStack, tokens_BT: Tensor, x_BTD: Tensor, layer: int) -> None:
    """Compare states of the truncated stack with a plain forward pass that returns all states."""
    tokens_BT, x_BTD = tokens_BT[:PROVEN_ROWS], x_BTD[:PROVEN_ROWS]
    plain = stack.decoder(tokens_BT, use_cache=False, output_hidden_states=True)
    if layer + 1 < stack.n_layers:
        expected_BTD = plain.hidden_states[layer + 1]
    else:
        # The last entry of a plain pass is the state after the final norm.
        expected_BTD, x_BTD = plain.last_hidden_state, stack.upper(x_BTD, layer)
    _compare(x_BTD[:, 1:], expected_BTD[:, 1:], f"states after block {layer}")


def check_replay(
    stack: DecoderStack, rows: Sequence[ScoreRow], batch: TreeBatch, x_PD: Tensor, layer: int
) -> None:
    """Compare final states where the first tree's rows are read with those of plain, unpacked
    rows."""
    tree = batch.rows[0][:PROVEN_ROWS]
    tokens = pad_right([(*rows[n].prompt, *rows[n].completion[:-1]) for n in tree])
    plain_BTD = stack.decoder(tokens.to(x_PD.device), use_cache=False).last_hidden_state
    expected_PD = torch.cat(
        [
            plain_BTD[b, len(rows[n].prompt) - 1 :][: len(rows[n].completion)]
            for b, n in enumerate(tree)
        ]
    )
    _compare(x_PD[: len(expected_PD)], expected_PD, f"states replayed from block {layer}")


def _compare(found: Tensor, expected: Tensor, what: str) -> None:
    error = ((found - expected).float().norm() / expected.float().norm()).item()
    allowed = RELATIVE_ERROR[expected.dtype]
    if not error <= allowed:
        raise ParityError(
            f"{what} differ from a plain forward pass by {error:.3g} of their norm (allowed "
            f"{allowed}); nothing computed from them can be trusted: this architecture is not "
            "supported, or another library has hooked the model"
        )
