"""Log-probabilities of completions, read only where a completion token is predicted.

With a vocabulary of 49,000 the logits of every position of a batch would be larger than the model.
"""

from collections.abc import Callable

import torch
from torch import Tensor

POSITIONS_AT_ONCE = 256
"""Positions whose logits are held at a time: 50 MB in float32 for 49,000 tokens."""


def token_log_probabilities(
    x_PD: Tensor, target_P: Tensor, logits: Callable[[Tensor], Tensor]
) -> Tensor:
    """Log-probability [P], float32 nats, of each target token in the state that predicts it.

    ``logits`` maps normed states [N, D] to [N, vocabulary].
    """
    parts = []
    for start in range(0, len(target_P), POSITIONS_AT_ONCE):
        chunk = slice(start, start + POSITIONS_AT_ONCE)
        logits_NV = logits(x_PD[chunk]).float()
        chosen_N = logits_NV.gather(1, target_P[chunk, None])[:, 0]
        parts.append(chosen_N - logits_NV.logsumexp(1))
    return torch.cat(parts)
