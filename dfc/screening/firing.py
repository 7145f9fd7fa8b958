"""How strongly features fire on states, and what they fire on."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dfc.engines.engine import FeatureBank

CHUNK = 8192
"""States converted to full precision at a time."""


@torch.no_grad()
def firing(bank: FeatureBank, rows: Sequence[int], x_TD: Tensor) -> Tensor:
    """Activations [T, len(rows)], float32, of some features of `bank` on raw states [T, D].

    The states may be those of another model with the same residual space: then it is what the
    feature would read there.
    """
    chosen = torch.tensor(rows, dtype=torch.long)
    encoder_RD = bank.encoder_KD[chosen].float()
    bias_R, threshold_R = bank.bias_K[chosen].float(), bank.threshold_K[chosen].float()
    parts = []
    for x_ND in x_TD.split(CHUNK):
        p_NR = torch.relu(x_ND.float() @ encoder_RD.T + bias_R)
        parts.append(p_NR * (p_NR > threshold_R))
    return torch.cat(parts)


def strength_elsewhere(own_T: Tensor, other_T: Tensor) -> float | None:
    """How strongly a feature fires in the other model, as a part of how strongly in its own.

    Both are activations [T] at the same tokens. None for a feature that is silent in its own.
    """
    own = own_T.sum().item()
    return other_T.sum().item() / own if own > 0 else None


def favourite_tokens(
    f_T: Tensor, token_T: Tensor, minimum_share: float, n: int
) -> list[tuple[int, float]]:
    """Up to `n` token ids on which at least `minimum_share` of a feature's activation falls, with
    their shares, the largest first."""
    total = f_T.sum()
    if total <= 0:
        return []
    tokens, index_T = token_T.unique(return_inverse=True)
    share = torch.zeros(len(tokens)).index_add(0, index_T, f_T.float()) / total
    found = share.topk(min(n, len(tokens)))
    return [
        (int(tokens[i]), value)
        for value, i in zip(found.values.tolist(), found.indices.tolist(), strict=True)
        if value >= minimum_share
    ]
