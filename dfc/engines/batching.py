"""Batches of token sequences under a token budget, and their padding."""

from collections.abc import Sequence

import torch
from torch import Tensor

PAD = 0
"""Any valid id will do: no real position ever attends to padding."""


def token_budget_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices grouped so that rows times longest length stays within ``budget`` tokens.

    Sorted by length, so that little is padding, and longest first, so that a batch too large for
    the memory fails at once. A sequence longer than the budget is a batch of its own.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def pad_right(rows: Sequence[Sequence[int]], value: int = PAD) -> Tensor:
    """Rows as one int64 tensor [rows, longest]. A causal model needs no mask for right padding."""
    width = max(len(row) for row in rows)
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])


def pad_left(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Rows ending together, and a mask that is 1 on real tokens, both int64 [rows, longest]."""
    width = max(len(row) for row in rows)
    pads = [width - len(row) for row in rows]
    tokens = [[*[PAD] * pad, *row] for pad, row in zip(pads, rows, strict=True)]
    mask = [[0] * pad + [1] * (width - pad) for pad in pads]
    return torch.tensor(tokens), torch.tensor(mask)
